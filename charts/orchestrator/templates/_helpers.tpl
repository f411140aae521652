{{/* SPDX-License-Identifier: GPL-3.0-or-later
     SPDX-FileCopyrightText: 2026 The orchestrator.platform authors */}}
{{/* orchestrator.name: the chart's name or its override. Context: chart root. */}}
{{- define "orchestrator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* orchestrator.fullname: name of all objects, 63 characters at most. A Service's name has no dots, which become hyphens, and
     starts with a letter. Context: chart root. */}}
{{- define "orchestrator.fullname" -}}
{{- $name := include "orchestrator.name" . -}}
{{- $full := .Values.fullnameOverride -}}
{{- if not $full -}}
{{- $full = contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- end -}}
{{- if regexMatch "^[^a-z]" $full -}}
{{- $full = printf "o-%s" $full -}}
{{- end -}}
{{- $full | replace "." "-" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* orchestrator.chart: value of the chart label. Context: chart root. */}}
{{- define "orchestrator.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* orchestrator.selectorLabels: the labels that never change, for selectors. Context: chart root. */}}
{{- define "orchestrator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "orchestrator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* orchestrator.labels: all labels of an object. A common label with the name of one of ours is dropped. Context: chart root. */}}
{{- define "orchestrator.labels" -}}
{{- $own := include "orchestrator.selectorLabels" . | fromYaml -}}
{{- with .Chart.AppVersion -}}
{{- $_ := set $own "app.kubernetes.io/version" (toString .) -}}
{{- end -}}
{{- $_ := set $own "app.kubernetes.io/component" "controller" -}}
{{- $_ = set $own "app.kubernetes.io/part-of" "orchestrator-platform" -}}
{{- $_ = set $own "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ = set $own "helm.sh/chart" (include "orchestrator.chart" .) -}}
{{- toYaml (merge $own .Values.commonLabels) -}}
{{- end -}}

{{/* orchestrator.metadata: the block below `metadata:`, the same for every object.
     Context: (dict "context" <chart root> "name" "…" "annotations" <map of this object's own, optional>
     "cluster" <true for objects without namespace>). The caller indents. */}}
{{- define "orchestrator.metadata" -}}
name: {{ .name | quote }}
{{- if not .cluster }}
namespace: {{ .context.Release.Namespace | quote }}
{{- end }}
labels:
  {{- include "orchestrator.labels" .context | nindent 2 }}
{{- $own := dict }}
{{- with .context.Values.chartDigest }}
{{- $own = dict "orchestrator.platform/chart-digest" . }}
{{- end }}
{{- with merge $own (default dict .annotations) .context.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* orchestrator.image: image reference. Context: (dict "image" <branch of values> "chart" <.Chart>). */}}
{{- define "orchestrator.image" -}}
{{- $tag := default .chart.AppVersion .image.tag | toString -}}
{{- if and .image.digest (not .image.tag) -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else if .image.digest -}}
{{- printf "%s:%s@%s" .image.repository $tag .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository $tag -}}
{{- end -}}
{{- end -}}

{{/* orchestrator.serviceAccountName: account of the controller. Context: chart root. */}}
{{- define "orchestrator.serviceAccountName" -}}
{{- $fallback := .Values.serviceAccount.create | ternary (include "orchestrator.fullname" .) "default" -}}
{{- default $fallback .Values.serviceAccount.name -}}
{{- end -}}

{{/* orchestrator.roleName: name of role and binding. A cluster-wide one carries the namespace, so that two releases of one name
     in two namespaces do not meet. Context: chart root. */}}
{{- define "orchestrator.roleName" -}}
{{- if .Values.rbac.namespaced -}}
{{- include "orchestrator.fullname" . -}}
{{- else -}}
{{- printf "%s-%s" .Release.Namespace (include "orchestrator.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/* orchestrator.secretCreated: "true" when the chart makes the Secret of the Anthropic key, else nothing. Context: chart root. */}}
{{- define "orchestrator.secretCreated" -}}
{{- if and .Values.secrets.anthropicApiKey (ne .Values.secrets.anthropicApiKey "use-existing") -}}true{{- end -}}
{{- end -}}

{{/* orchestrator.secretName: Secret of the Anthropic key. The one place that knows: Deployment, Secret and controller
     configuration ask here. Context: chart root. */}}
{{- define "orchestrator.secretName" -}}
{{- if include "orchestrator.secretCreated" . -}}
{{- printf "%s-secrets" (include "orchestrator.fullname" .) -}}
{{- else -}}
{{- default "orchestrator-secrets" .Values.secrets.existingSecret -}}
{{- end -}}
{{- end -}}

{{/* orchestrator.secretKey: key of the Anthropic key in that Secret. Context: chart root. */}}
{{- define "orchestrator.secretKey" -}}
{{- include "orchestrator.secretCreated" . | empty | ternary .Values.secrets.existingSecretKey "ANTHROPIC_API_KEY" -}}
{{- end -}}

{{/* orchestrator.portName: name of the one port. Context: chart root. */}}
{{- define "orchestrator.portName" -}}
{{- default .Values.service.portName .Values.service.name -}}
{{- end -}}

{{/* orchestrator.url: address of a path of the Service, from inside the cluster. Context: (dict "context" <chart root> "path" "/…"). */}}
{{- define "orchestrator.url" -}}
{{- $c := .context -}}
{{- printf "http://%s.%s.svc:%d%s" (include "orchestrator.fullname" $c) $c.Release.Namespace (int64 $c.Values.service.port) .path -}}
{{- end -}}

{{/* orchestrator.probe: an HTTP probe's fields. Context: (dict "context" <chart root> "probe" <branch of values> "path" "/…"). */}}
{{- define "orchestrator.probe" -}}
httpGet:
  path: {{ .path | quote }}
  port: {{ include "orchestrator.portName" .context | quote }}
initialDelaySeconds: {{ int64 .probe.initialDelaySeconds }}
periodSeconds: {{ int64 .probe.periodSeconds }}
timeoutSeconds: {{ int64 .probe.timeoutSeconds }}
successThreshold: {{ int64 .probe.successThreshold }}
failureThreshold: {{ int64 .probe.failureThreshold }}
{{- end -}}

{{/* orchestrator.botPort: port in sidecar.runChannels.botUrl, or that of its scheme. Context: chart root. */}}
{{- define "orchestrator.botPort" -}}
{{- $url := .Values.sidecar.runChannels.botUrl -}}
{{- $named := regexFind ":[0-9]+/?$" $url | trimPrefix ":" | trimSuffix "/" -}}
{{- default (hasPrefix "https:" $url | ternary "443" "80") $named -}}
{{- end -}}
