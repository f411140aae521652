{{/* SPDX-License-Identifier: GPL-3.0-or-later
     SPDX-FileCopyrightText: 2026 The orchestrator.platform authors */}}

{{/* demo.name: the chart's name or its override. Context: chart root. */}}
{{- define "demo.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* demo.objectName: name of a part's objects: the release's name, with the component's added unless it is in there already:
     release fake-discord has Service fake-discord, release demo has demo-fake-discord. 52 characters at most, since the
     Job's name gets two suffixes; no dots and a letter first, as a Service wants it.
     Context: (dict "context" <chart root> "component" "…"). */}}
{{- define "demo.objectName" -}}
{{- $prefix := default .context.Release.Name .context.Values.fullnameOverride -}}
{{- $full := contains .component $prefix | ternary $prefix (printf "%s-%s" $prefix .component) -}}
{{- if regexMatch "^[^a-z]" $full -}}
{{- $full = printf "demo-%s" $full -}}
{{- end -}}
{{- $full | replace "." "-" | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* demo.selectorLabels: labels that never change. Context: (dict "context" <chart root> "component" "…"). */}}
{{- define "demo.selectorLabels" -}}
app.kubernetes.io/name: {{ include "demo.name" .context | quote }}
app.kubernetes.io/instance: {{ .context.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* demo.labels: all labels of an object. Context: as demo.selectorLabels. */}}
{{- define "demo.labels" -}}
{{ include "demo.selectorLabels" . }}
app.kubernetes.io/version: {{ .context.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: orchestrator-platform
app.kubernetes.io/managed-by: {{ .context.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .context.Chart.Name .context.Chart.Version | replace "+" "_" | trunc 63 | quote }}
{{- end -}}

{{/* demo.podSettings: what every pod spec of this chart shares. Context: chart root. The caller indents. */}}
{{- define "demo.podSettings" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/* demo.container: image, security and resources of one container of this chart.
     Context: (dict "context" <chart root> "readOnly" true "resources" <branch> "image" <branch, image when missing>).
     The caller indents. */}}
{{- define "demo.container" -}}
{{- $v := .context.Values -}}
{{- $image := default $v.image .image -}}
image: {{ printf "%s:%s" $image.repository (default .context.Chart.AppVersion $image.tag | toString) | quote }}
imagePullPolicy: {{ $v.image.pullPolicy }}
{{- with .resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsUser: {{ int64 $v.runAsUser }}
  runAsGroup: {{ int64 $v.runAsUser }}
  runAsNonRoot: true
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: {{ .readOnly }}
  capabilities:
    drop: [ALL]
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/* demo.agentEnv: environment of a sample agent. Context: (dict "context" <chart root> "runOnce" true "loop" false). The caller indents. */}}
{{- define "demo.agentEnv" -}}
{{- $agent := .context.Values.agent -}}
- name: TRANSCRIPT_DIR
  value: {{ $agent.transcriptDir | quote }}
- name: PACE_MS
  value: {{ int64 $agent.paceMs | quote }}
- name: SESSIONS
  value: {{ int64 $agent.sessions | quote }}
- name: SEED
  value: {{ int64 $agent.seed | quote }}
- name: RUN_ONCE
  value: {{ .runOnce | quote }}
- name: LOOP
  value: {{ .loop | quote }}
{{- with $agent.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* demo.fakes: a list of components, each a fake Discord with a Service of its own. Context: chart root. */}}
{{- define "demo.fakes" -}}
{{- $names := .Values.fakeDiscord.enabled | ternary (list "fake-discord") list -}}
{{- concat $names .Values.faults.endpoints | toJson -}}
{{- end -}}
