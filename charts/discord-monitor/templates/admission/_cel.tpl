{{/* SPDX-License-Identifier: GPL-3.0-or-later
     SPDX-FileCopyrightText: 2026 The orchestrator.platform authors */}}

{{/* What turns values into CEL, the language of admission policies. JSON's way of writing a text is CEL's as well. */}}

{{/* discord-monitor.cel: any value as one CEL literal. A CEL list or map holds one type only, hence dyn() around each value
     (prototypes: a list with an Object{} literal panics the API server, so maps it is). Context: the value. */}}
{{- define "discord-monitor.cel" -}}
{{- if kindIs "map" . -}}
dyn({ {{- range $i, $key := keys . | sortAlpha }}{{ if $i }}, {{ end }}{{ toJson $key }}: {{ include "discord-monitor.cel" (index $ $key) }}{{ end -}} })
{{- else if kindIs "slice" . -}}
dyn([ {{- range $i, $item := . }}{{ if $i }}, {{ end }}{{ include "discord-monitor.cel" $item }}{{ end -}} ])
{{- else if and (kindIs "float64" .) (eq . (. | int64 | float64)) -}}
dyn({{ int64 . }})
{{- else if kindIs "invalid" . -}}
dyn(null)
{{- else -}}
dyn({{ toJson . }})
{{- end -}}
{{- end -}}

{{/* discord-monitor.celPatch: a list with one patch, or an empty one, ready to be added to others.
     Context: (dict "when" <CEL> "op" "add" "path" <CEL> "value" <CEL>); without "when" it always holds. */}}
{{- define "discord-monitor.celPatch" -}}
{{- $patch := printf "[JSONPatch{op: %s, path: %s, value: %s}]" (toJson .op) .path .value -}}
{{- with .when -}}
({{ . }} ? {{ $patch }} : [])
{{- else -}}
{{ $patch }}
{{- end -}}
{{- end -}}
