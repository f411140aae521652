{{/* SPDX-License-Identifier: GPL-3.0-or-later
     SPDX-FileCopyrightText: 2026 The orchestrator.platform authors */}}
{{/* What the schema cannot say, or could only say by printing the value. Each sentence names the key and the remedy; none
     prints a secret. The templates print nothing. */}}

{{/* orchestrator.validate: the whole chart, once, from deployment.yaml. Context: chart root. */}}
{{- define "orchestrator.validate" -}}
{{- $v := .Values -}}
{{- if gt (int64 $v.replicaCount) 1 -}}
{{- fail (printf "orchestrator: replicaCount is %d, but without leader election two controllers would work on the same runs: set 1, or 0 to stop it" (int64 $v.replicaCount)) -}}
{{- end -}}
{{- include "orchestrator.validateSecrets" . -}}
{{- include "orchestrator.validateNamespace" . -}}
{{- include "orchestrator.validateEnv" . -}}
{{- if $v.sidecar.runChannels.enabled -}}
{{- include "orchestrator.validateRunChannels" . -}}
{{- end -}}
{{- if and $v.config.serverPort (ne (toString $v.config.serverPort) (int64 $v.service.targetPort | toString)) -}}
{{- fail (printf "orchestrator: config.serverPort and service.targetPort differ: service.targetPort (%d) is the one port everywhere, leave config.serverPort empty" (int64 $v.service.targetPort)) -}}
{{- end -}}
{{- if and $v.rbac.create (eq (include "orchestrator.serviceAccountName" .) "default") -}}
{{- fail "orchestrator: rbac.create would give rights to the namespace's default account, and so to every pod there: set serviceAccount.create=true or serviceAccount.name" -}}
{{- end -}}
{{- if $v.ingress.enabled -}}
{{- include "orchestrator.validateIngress" . -}}
{{- end -}}
{{- end -}}

{{- define "orchestrator.validateSecrets" -}}
{{- $s := .Values.secrets -}}
{{- if and (include "orchestrator.secretCreated" .) $s.existingSecret -}}
{{- fail "orchestrator: secrets.anthropicApiKey and secrets.existingSecret are both set: keep the one you mean, best the Secret" -}}
{{- end -}}
{{- if and (not $s.anthropicApiKey) (not $s.existingSecret) -}}
{{- fail "orchestrator: there is no Anthropic key, and every agent would fail: name the Secret that holds it in secrets.existingSecret (key secrets.existingSecretKey), or give the key in secrets.anthropicApiKey for a trial" -}}
{{- end -}}
{{- if regexMatch "[[:space:]]" $s.anthropicApiKey -}}
{{- fail "orchestrator: secrets.anthropicApiKey contains white space, perhaps a newline at its end: give the key alone" -}}
{{- end -}}
{{- end -}}

{{- define "orchestrator.validateNamespace" -}}
{{- $wanted := .Values.config.kubernetesNamespace -}}
{{- if and $wanted (ne $wanted .Release.Namespace) .Values.rbac.create .Values.rbac.namespaced -}}
{{- fail (printf "orchestrator: config.kubernetesNamespace is %s, but the role reaches the release's namespace %s only: leave it empty, install into %s, or set rbac.namespaced=false" $wanted .Release.Namespace $wanted) -}}
{{- end -}}
{{- end -}}

{{- define "orchestrator.validateEnv" -}}
{{- $reserved := list "ANTHROPIC_API_KEY" "KUBERNETES_NAMESPACE" "SERVER_HOST" "SERVER_PORT" "RUST_LOG" "DEFAULT_DOCS_MODEL" "DEFAULT_CODE_MODEL" "API_TOKEN_FILE" "RUN_CHANNELS_CREDENTIAL_FILE" -}}
{{- range .Values.extraEnv -}}
{{- if has .name $reserved -}}
{{- fail (printf "orchestrator: extraEnv names %s, which the chart sets: use the value it comes from, or leave it out" .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The address is looked at here and not by the schema, which would print one with a password. */}}
{{- define "orchestrator.validateRunChannels" -}}
{{- $s := .Values.sidecar -}}
{{- if not $s.snippetConfigMap -}}
{{- fail "orchestrator: sidecar.runChannels.enabled without a watcher that would write to the channels: name the published snippet in sidecar.snippetConfigMap, or set sidecar.runChannels.enabled=false" -}}
{{- end -}}
{{- if not $s.runChannels.botUrl -}}
{{- fail "orchestrator: sidecar.runChannels.enabled needs the bot that makes the channels: give its address in sidecar.runChannels.botUrl, such as http://discord-monitor.discord-monitor.svc:8080" -}}
{{- end -}}
{{- if not (regexMatch "^https?://([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\\[[0-9A-Fa-f:.]+\\])(:[1-9][0-9]{0,4})?/?$" $s.runChannels.botUrl) -}}
{{- fail "orchestrator: sidecar.runChannels.botUrl is not an http or https URL without credentials and path, such as http://discord-monitor.discord-monitor.svc:8080" -}}
{{- end -}}
{{- if gt (include "orchestrator.botPort" . | int64) 65535 -}}
{{- fail (printf "orchestrator: sidecar.runChannels.botUrl names port %s, but ports end at 65535: correct it" (include "orchestrator.botPort" .)) -}}
{{- end -}}
{{- if not $s.runChannels.existingSecret -}}
{{- fail "orchestrator: sidecar.runChannels.enabled needs a credential that the bot accepts: name the Secret that holds it in sidecar.runChannels.existingSecret (key sidecar.runChannels.existingSecretKey)" -}}
{{- end -}}
{{- end -}}

{{- define "orchestrator.validateIngress" -}}
{{- $i := .Values.ingress -}}
{{- if not $i.hosts -}}
{{- fail "orchestrator: ingress.enabled is true but ingress.hosts is empty: give a host, or set ingress.enabled=false" -}}
{{- end -}}
{{- $annotation := get (default dict $i.annotations) "kubernetes.io/ingress.class" -}}
{{- if and $i.className $annotation (ne $i.className $annotation) -}}
{{- fail (printf "orchestrator: ingress.annotations names class %s and ingress.className names %s, which the API server refuses: remove the annotation" $annotation $i.className) -}}
{{- end -}}
{{- $seen := dict -}}
{{- range $i.hosts -}}
{{- $host := default "" .host -}}
{{- if hasKey $seen $host -}}
{{- fail (printf "orchestrator: ingress.hosts names host %q twice: put its paths into one entry" $host) -}}
{{- end -}}
{{- $_ := set $seen $host true -}}
{{- end -}}
{{- end -}}
