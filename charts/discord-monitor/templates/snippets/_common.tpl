{{/* SPDX-License-Identifier: GPL-3.0-or-later
     SPDX-FileCopyrightText: 2026 The orchestrator.platform authors */}}

{{/* discord-monitor.resolve: finds the values a snippet is rendered from and puts them into the given dictionary, since an
     include can only return text. Context: (dict "of" <what the caller of the snippet passed>); sets Values, Chart and Release.
     A caller may pass
       .                                          this chart's root, or the root of a host chart with this chart as dependency,
       (index .Subcharts "discord-monitor")       the same, said plainly; needed when the dependency has an alias,
       (dict "context" <one of these> "values" (dict …))   the same with sub-values that replace those of the context. */}}
{{- define "discord-monitor.resolve" -}}
{{- $given := .of -}}
{{- $context := $given -}}
{{- if hasKey $given "context" -}}
{{- $context = $given.context -}}
{{- end -}}
{{- if hasKey (default dict $context.Subcharts) "discord-monitor" -}}
{{- $context = index $context.Subcharts "discord-monitor" -}}
{{- end -}}
{{- if not (and $context.Values $context.Chart (hasKey (default dict $context.Values) "webhook") (hasKey (default dict $context.Values) "transcripts")) -}}
{{- fail "discord-monitor: a snippet got a context without this chart's values: pass ., (index .Subcharts \"discord-monitor\"), or (dict \"context\" . \"values\" (dict …)), and declare discord-monitor as a dependency" -}}
{{- end -}}
{{- $values := deepCopy $context.Values -}}
{{- if hasKey $given "context" -}}
{{- include "discord-monitor.overlay" (dict "base" $values "over" (default dict $given.values) "path" "") -}}
{{- end -}}
{{- $_ := set . "Values" $values -}}
{{- $_ = set . "Chart" $context.Chart -}}
{{- $_ = set . "Release" (default (dict "Name" "" "Namespace" "") $context.Release) -}}
{{- include "discord-monitor.validateSnippet" . -}}
{{- end -}}

{{/* discord-monitor.overlay: puts sub-values over values, in place. Unlike Sprig's merge it takes false, 0 and "" as answers,
     and it refuses a key that the chart does not know. Maps that are free form are replaced whole.
     Context: (dict "base" <map> "over" <map> "path" "where we are"). */}}
{{- define "discord-monitor.overlay" -}}
{{- $here := . -}}
{{- range $key, $value := .over -}}
{{- $path := printf "%s%s" $here.path $key -}}
{{- if not (hasKey $here.base $key) -}}
{{- fail (printf "discord-monitor: sub-value %s is not a value of this chart" $path) -}}
{{- end -}}
{{- $old := index $here.base $key -}}
{{- $freeForm := or (regexMatch "(^|[.])(resources|securityContext)$" $path) (not (kindIs "map" $old)) -}}
{{- if $freeForm -}}
{{- if ne (kindOf $old | replace "int64" "float64" | replace "int" "float64") (kindOf $value | replace "int64" "float64" | replace "int" "float64") -}}
{{- fail (printf "discord-monitor: sub-value %s is a %s, it has to be a %s" $path (kindOf $value) (kindOf $old)) -}}
{{- end -}}
{{- $_ := set $here.base $key $value -}}
{{- else if kindIs "map" $value -}}
{{- include "discord-monitor.overlay" (dict "base" $old "over" $value "path" (printf "%s." $path)) -}}
{{- else -}}
{{- fail (printf "discord-monitor: sub-value %s is a %s, it has to be a map" $path (kindOf $value)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* discord-monitor.livenessProbe: block livenessProbe, or nothing when switched off.
     Context: (dict "probe" <branch with enabled and figures> "path" "/healthz" "port" 8080), or "exec" <argv> in place of path and port. */}}
{{- define "discord-monitor.livenessProbe" -}}
{{- if .probe.enabled -}}
livenessProbe:
  {{- include "discord-monitor.probe" . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* discord-monitor.readinessProbe: block readinessProbe, or nothing when switched off. Context: as livenessProbe. */}}
{{- define "discord-monitor.readinessProbe" -}}
{{- if .probe.enabled -}}
readinessProbe:
  {{- include "discord-monitor.probe" . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* discord-monitor.probe: action and figures of one probe. The address is never given: an HTTP probe goes to the pod's own IP. */}}
{{- define "discord-monitor.probe" -}}
{{- if hasKey . "exec" -}}
exec:
  command: {{ toJson .exec }}
{{- else -}}
httpGet:
  path: {{ .path | quote }}
  port: {{ int64 .port }}
  scheme: HTTP
{{- end }}
{{ omit .probe "enabled" | toYaml }}
{{- end -}}

{{/* discord-monitor.resources: block resources, or nothing for an empty branch. Context: the branch. */}}
{{- define "discord-monitor.resources" -}}
{{- if . -}}
resources:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* discord-monitor.securityContext: block securityContext of a container.
     Context: (dict "shared" <top-level branch> "own" <fields that replace it>). */}}
{{- define "discord-monitor.securityContext" -}}
{{- $all := deepCopy .shared -}}
{{- range $key, $value := .own -}}
{{- $_ := set $all $key $value -}}
{{- end -}}
securityContext:
  {{- toYaml $all | nindent 2 }}
{{- end -}}

{{/* discord-monitor.env: one environment entry per pair, every value as a string: true stays true, 100 stays 100, an empty text stays empty.
     Context: list of (list "NAME" value). */}}
{{- define "discord-monitor.env" -}}
{{- range . }}
- name: {{ first . }}
  value: {{ kindIs "float64" (last .) | ternary (last . | int64 | toString) (last . | toString) | quote }}
{{- end }}
{{- end -}}

{{/* discord-monitor.emptyDir: a volume with an optional size limit. Context: (dict "name" "…" "sizeLimit" "…"). */}}
{{- define "discord-monitor.emptyDir" -}}
- name: {{ .name }}
  emptyDir: {{ .sizeLimit | empty | ternary dict (dict "sizeLimit" .sizeLimit) | toJson }}
{{- end -}}
