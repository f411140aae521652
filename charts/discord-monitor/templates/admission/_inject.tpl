{{/* SPDX-License-Identifier: GPL-3.0-or-later
     SPDX-FileCopyrightText: 2026 The orchestrator.platform authors */}}

{{/* The parts of the policy that injects. It takes the published snippet apart and puts the same containers, volumes and
     mounts into a pod, as the module `sidecar` does for a workload. Whatever could make the pod invalid is looked at first
     and then nothing is done: failurePolicy Ignore covers errors of CEL, not a pod that the API server finds invalid. */}}

{{/* discord-monitor.admissionName: of cluster-scoped objects. Neither a namespace nor a full name holds a dot, so two
     releases never meet. Context: (dict "context" <chart root> "suffix" "…", may be empty). */}}
{{- define "discord-monitor.admissionName" -}}
{{- printf "%s.%s" (include "discord-monitor.fullname" .context) .context.Release.Namespace -}}
{{- with .suffix -}}.{{ . }}{{- end -}}
{{- end -}}

{{/* discord-monitor.admissionSelector: a label selector of values, or the label that counts when it is empty.
     Context: (dict "selector" <map> "label" "orchestrator.platform/…"). */}}
{{- define "discord-monitor.admissionSelector" -}}
{{- toYaml (default (dict "matchLabels" (dict .label "true")) .selector) -}}
{{- end -}}

{{/* discord-monitor.admissionParts: what the policy injects, put into the given dictionary: `containers` (native sidecars),
     `volumes`, `mounts` (of the agent), `hash`, `watcher`, `bridge` (empty where it is not injected). Context: (dict "root" <chart root>). */}}
{{- define "discord-monitor.admissionParts" -}}
{{- $json := include "discord-monitor.snippetJson" .root -}}
{{- $snippet := fromJson $json -}}
{{- $containers := list $snippet.watcher -}}
{{- $volumes := $snippet.volumes -}}
{{- $mounts := $snippet.agentVolumeMounts -}}
{{- if .root.Values.admission.bridge -}}
{{- $containers = append $containers $snippet.bridge -}}
{{- $volumes = concat $volumes $snippet.bridgeVolumes -}}
{{- $mounts = concat $mounts $snippet.bridgeAgentVolumeMounts -}}
{{- end -}}
{{- range $containers -}}
{{- $_ := set . "restartPolicy" "Always" -}}
{{- end -}}
{{- $_ := set . "hash" (sha256sum $json) -}}
{{- $_ = set . "watcher" $snippet.watcher -}}
{{- $_ = set . "bridge" (ternary $snippet.bridge dict .root.Values.admission.bridge) -}}
{{- $_ = set . "containers" $containers -}}
{{- $_ = set . "volumes" $volumes -}}
{{- $_ = set . "mounts" $mounts -}}
{{- end -}}

{{/* discord-monitor.admissionUnhidden: paths in the watcher above which no volume of the agent's is mounted, as a CEL list:
     its other mounts, its program, and what the kubelet mounts by itself. Context: what discord-monitor.admissionParts has set. */}}
{{- define "discord-monitor.admissionUnhidden" -}}
{{- $paths := list "/etc/hosts" "/opt/orchestrator-platform" "/run/secrets" "/usr/local/bin" "/var/run/secrets/kubernetes.io/serviceaccount" -}}
{{- $shared := (first .mounts).name -}}
{{- range .watcher.volumeMounts -}}
{{- if ne .name $shared }}{{ $paths = append $paths (clean .mountPath) }}{{ end -}}
{{- end -}}
{{- $paths | uniq | toJson -}}
{{- end -}}

{{/* discord-monitor.admissionOverrides: the annotations a pod may carry, each with the CEL that accepts its value ("v"), and
     where it goes: `path` in the watcher, `env` of it, or `reference`, the name or key of the Secret that `variable` of
     container number `in` reads. Put into `overrides` of the given dictionary.
     Context: what discord-monitor.admissionParts has set. */}}
{{- define "discord-monitor.admissionOverrides" -}}
{{- $part := "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*" -}}
{{- $image := printf "^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]+)?/)?%s(/%s)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[a-f0-9]{64})?$" $part $part -}}
{{- $bot := include "discord-monitor.botSecretNames" .root -}}
{{- $secretName := printf "v.size() <= 253 && v.matches(r'^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$') && !(v in %s)" $bot -}}
{{- $secretKey := "v.matches(r'^[-_a-zA-Z0-9][-._a-zA-Z0-9]{0,252}$')" -}}
{{- /* As the module does it: a bridge that pulls nothing cannot be told from where. */ -}}
{{- $pulls := or (not .bridge) (include "discord-monitor.admissionVariable" (dict "container" .bridge "name" "BOT_INPUT_CREDENTIAL")) -}}
{{- $out := list
      (dict "name" "image" "valid" (printf "v.size() <= 512 && v.matches(r'%s')" $image) "path" "image")
      (dict "name" "log-level" "valid" "v in ['debug', 'info', 'warning', 'error']" "env" "LOG_LEVEL")
      (dict "name" "filters" "valid" "v.trim().startsWith('{') && v.trim().endsWith('}')" "env" "FILTERS" "value" "%s.replace('$(', '$$(')")
      (dict "name" "webhook-secret-name" "valid" $secretName "in" 0 "variable" "DISCORD_WEBHOOK_URL" "reference" "name")
      (dict "name" "webhook-secret-key" "valid" $secretKey "in" 0 "variable" "DISCORD_WEBHOOK_URL" "reference" "key")
      (dict "name" "input-secret-name" "valid" (ternary $secretName "false" (not (empty $pulls))) "in" 1 "variable" "BOT_INPUT_CREDENTIAL" "reference" "name")
      (dict "name" "input-secret-key" "valid" (ternary $secretKey "false" (not (empty $pulls))) "in" 1 "variable" "BOT_INPUT_CREDENTIAL" "reference" "key")
      (dict "name" "parity-mode" "valid" "v in ['true', 'false']" "env" "PARITY_MODE")
      (dict "name" "thread-id" "valid" "v.matches(r'^[0-9]{1,20}$')" "env" "DISCORD_THREAD_ID") -}}
{{- $least := dict "cpu" "1m" "memory" "1Mi" -}}
{{- range $what := list "cpu" "memory" -}}
{{- range $bound := list "request" "limit" -}}
{{- $out = append $out (dict "name" (printf "%s-%s" $what $bound) "valid" (printf "isQuantity(v) && quantity(v).compareTo(quantity('%s')) >= 0" (get $least $what)) "path" (printf "resources/%ss/%s" $bound $what)) -}}
{{- end -}}
{{- end -}}
{{- $_ := set . "overrides" $out -}}
{{- end -}}

{{/* discord-monitor.admissionVariable: the place of a variable in a container's environment; nothing where it has none of
     this name. Context: (dict "container" <map> "name" "…"). */}}
{{- define "discord-monitor.admissionVariable" -}}
{{- $name := .name -}}
{{- range $i, $entry := .container.env -}}
{{- if eq $entry.name $name }}{{ $i }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* discord-monitor.admissionValid: CEL that is true when every annotation of the pod can be followed. Whole texts only:
     CEL reads no JSON, so of the filters it knows no more than that they are an object; the watcher falls back to its own.
     A security setting is none: it is refused here as the module refuses it, so that nobody takes it for heard.
     Context: what discord-monitor.admissionOverrides has set. */}}
{{- define "discord-monitor.admissionValid" -}}
{{- $security := "securitycontext|runas|privilege|capabilit|seccomp|apparmor|selinux|fsgroup|supplementalgroup|procmount|host(network|pid|ipc|users|path|port)|readonlyroot|sysctl|serviceaccount" -}}
{{- $plain := "k.lowerAscii().replace('-', '').replace('_', '').replace('.', '')" -}}
{{- $all := list (printf "!variables.notes.exists(k, k.startsWith('orchestrator.platform/') && %s.matches(r'%s'))" $plain $security) -}}
{{- range .overrides -}}
{{- $key := printf "orchestrator.platform/%s" .name | quote -}}
{{- $all = append $all (printf "(!(%s in variables.notes) || [variables.notes[%s]].all(v, %s))" $key $key .valid) -}}
{{- end -}}
{{- $resources := default dict .watcher.resources -}}
{{- range $what := list "cpu" "memory" -}}
{{- $request := include "discord-monitor.admissionQuantity" (dict "resources" $resources "what" $what "bound" "request") -}}
{{- $limit := include "discord-monitor.admissionQuantity" (dict "resources" $resources "what" $what "bound" "limit") -}}
{{- $all = append $all (printf "[%s].all(r, [%s].all(l, r == '' || l == '' || quantity(r).compareTo(quantity(l)) <= 0))" $request $limit) -}}
{{- end -}}
{{- join "\n&& " $all -}}
{{- end -}}

{{/* discord-monitor.admissionQuantity: CEL for the figure that would count, the annotation's or the snippet's; '' for none.
     Context: (dict "resources" <of the watcher> "what" "cpu" "bound" "limit"). */}}
{{- define "discord-monitor.admissionQuantity" -}}
{{- $own := dig (printf "%ss" .bound) .what "" (default dict .resources) | toString -}}
variables.notes[?{{ printf "orchestrator.platform/%s-%s" .what .bound | quote }}].orValue({{ toJson $own }})
{{- end -}}

{{/* discord-monitor.admissionOverridePatches: CEL, a sum of patches on the sidecars that have just been added. What is of a
     container that is not injected has no patch.
     Context: what discord-monitor.admissionOverrides has set. */}}
{{- define "discord-monitor.admissionOverridePatches" -}}
{{- $containers := .containers -}}
{{- $watcher := .watcher -}}
{{- $at := "variables.at[0] + " -}}
{{- $out := list -}}
{{- $resources := default dict $watcher.resources -}}
{{- $bounds := list -}}
{{- range $bound := list "request" "limit" -}}
{{- $given := printf "['cpu', 'memory'].exists(w, 'orchestrator.platform/' + w + '-%s' in variables.notes)" $bound -}}
{{- $bounds = append $bounds $given -}}
{{- end -}}
{{- if not $resources -}}
{{- $out = append $out (include "discord-monitor.celPatch" (dict "when" (join " || " $bounds) "op" "add" "path" (printf "%s'resources'" $at) "value" "{}")) -}}
{{- end -}}
{{- range $i, $bound := list "requests" "limits" -}}
{{- if not (index $resources $bound) -}}
{{- $out = append $out (include "discord-monitor.celPatch" (dict "when" (index $bounds $i) "op" "add" "path" (printf "%s'resources/%s'" $at $bound) "value" "{}")) -}}
{{- end -}}
{{- end -}}
{{- range .overrides -}}
{{- $note := printf "variables.notes['orchestrator.platform/%s']" .name -}}
{{- $value := printf (default "%s" .value) $note -}}
{{- $path := .path -}}
{{- $number := default 0 .in -}}
{{- $reference := .reference -}}
{{- if and $reference (lt $number (len $containers)) -}}
{{- with include "discord-monitor.admissionVariable" (dict "container" (index $containers $number) "name" .variable) -}}
{{- $path = printf "env/%s/valueFrom/secretKeyRef/%s" . $reference -}}
{{- end -}}
{{- end -}}
{{- if .env -}}
{{- $place := include "discord-monitor.admissionVariable" (dict "container" $watcher "name" .env) -}}
{{- if $place -}}
{{- $path = printf "env/%s/value" $place -}}
{{- else -}}
{{- $path = "env/-" -}}
{{- $value = printf "dyn({'name': dyn('%s'), 'value': dyn(%s)})" .env $value -}}
{{- end -}}
{{- end -}}
{{- if $path -}}
{{- $out = append $out (include "discord-monitor.celPatch" (dict "when" (printf "'orchestrator.platform/%s' in variables.notes" .name) "op" "add" "path" (printf "variables.at[%d] + '%s'" $number $path) "value" $value)) -}}
{{- end -}}
{{- end -}}
{{- range $out }}
+ {{ . }}
{{- end -}}
{{- end -}}
