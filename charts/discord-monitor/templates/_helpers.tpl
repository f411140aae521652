{{/* SPDX-License-Identifier: GPL-3.0-or-later
     SPDX-FileCopyrightText: 2026 The orchestrator.platform authors */}}

{{/* discord-monitor.name: the chart's name or its override. Context: chart root. */}}
{{- define "discord-monitor.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* discord-monitor.fullname: name of all objects, 52 characters at most so that "-snippet" and the suffixes of pods still
     fit into 63. A Service's name has no dots, which become hyphens, and starts with a letter. Context: chart root. */}}
{{- define "discord-monitor.fullname" -}}
{{- $name := include "discord-monitor.name" . -}}
{{- $full := .Values.fullnameOverride -}}
{{- if not $full -}}
{{- $full = contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- end -}}
{{- if regexMatch "^[^a-z]" $full -}}
{{- $full = printf "dm-%s" $full -}}
{{- end -}}
{{- $full | replace "." "-" | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* discord-monitor.selectorLabels: the labels that never change, for selectors.
     Context: (dict "context" <chart root> "component" "bot"). */}}
{{- define "discord-monitor.selectorLabels" -}}
app.kubernetes.io/name: {{ include "discord-monitor.name" .context | quote }}
app.kubernetes.io/instance: {{ .context.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* discord-monitor.labels: all labels of an object. A common label with the name of one of ours is dropped.
     Context: (dict "context" <chart root> "component" "bot"). */}}
{{- define "discord-monitor.labels" -}}
{{- $own := include "discord-monitor.selectorLabels" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" (.context.Chart.AppVersion | toString) -}}
{{- $_ = set $own "app.kubernetes.io/part-of" "orchestrator-platform" -}}
{{- $_ = set $own "app.kubernetes.io/managed-by" .context.Release.Service -}}
{{- $_ = set $own "helm.sh/chart" (printf "%s-%s" .context.Chart.Name .context.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- toYaml (merge $own .context.Values.commonLabels) -}}
{{- end -}}

{{/* discord-monitor.annotations: annotations of every object; may be empty. Context: chart root. */}}
{{- define "discord-monitor.annotations" -}}
{{- $own := dict -}}
{{- with .Values.chartDigest -}}
{{- $own = dict "orchestrator.platform/chart-digest" . -}}
{{- end -}}
{{- $all := merge $own .Values.commonAnnotations -}}
{{- if $all -}}
{{- toYaml $all -}}
{{- end -}}
{{- end -}}

{{/* discord-monitor.metadata: the block below `metadata:`, the same for every object.
     Context: (dict "context" <chart root> "component" "bot" "name" "…" "annotations" <map of this object's own, optional>
     "labels" <the same for labels> "clusterScoped" true, for an object that belongs to no namespace). The caller indents. */}}
{{- define "discord-monitor.metadata" -}}
name: {{ .name | quote }}
{{- if not .clusterScoped }}
namespace: {{ .context.Release.Namespace | quote }}
{{- end }}
labels:
  {{- include "discord-monitor.labels" . | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := merge (include "discord-monitor.annotations" .context | fromYaml) (default dict .annotations) }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* discord-monitor.image: image reference. Context: (dict "image" <branch of values> "chart" <.Chart>). */}}
{{- define "discord-monitor.image" -}}
{{- $tag := default .chart.AppVersion .image.tag | toString -}}
{{- if and .image.digest (not .image.tag) -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else if .image.digest -}}
{{- printf "%s:%s@%s" .image.repository $tag .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository $tag -}}
{{- end -}}
{{- end -}}

{{/* discord-monitor.parityMode: "true" or nothing, so that it can stand in a condition. Context: chart root. */}}
{{- define "discord-monitor.parityMode" -}}
{{- if eq (toString .Values.parityMode) "true" -}}true{{- end -}}
{{- end -}}

{{/* discord-monitor.serviceAccountName: account of the bot. Context: chart root. */}}
{{- define "discord-monitor.serviceAccountName" -}}
{{- $fallback := .Values.serviceAccount.create | ternary (include "discord-monitor.fullname" .) "default" -}}
{{- default $fallback .Values.serviceAccount.name -}}
{{- end -}}

{{/* discord-monitor.botSecretName: Secret that holds the bot token. Context: chart root. */}}
{{- define "discord-monitor.botSecretName" -}}
{{- if .Values.bot.secret.create -}}
{{- include "discord-monitor.fullname" . }}-bot
{{- else -}}
{{- .Values.bot.secret.existingName -}}
{{- end -}}
{{- end -}}

{{/* discord-monitor.snippetJson: the published snippet, as text. Made from the same named templates that an include uses,
     so that both are one. Context: chart root. */}}
{{- define "discord-monitor.snippetJson" -}}
{{- $watcher := include "discord-monitor.sidecar" . | fromYamlArray -}}
{{- $bridge := include "discord-monitor.inputBridge" . | fromYamlArray -}}
{{- toPrettyJson (dict
    "schema" 1
    "watcher" ($watcher | empty | ternary nil (first $watcher))
    "bridge" ($bridge | empty | ternary nil (first $bridge))
    "volumes" (include "discord-monitor.volumes" . | fromYamlArray)
    "agentVolumeMounts" (include "discord-monitor.agentVolumeMounts" . | fromYamlArray)
    "bridgeVolumes" (include "discord-monitor.bridgeVolumes" . | fromYamlArray)
    "bridgeAgentVolumeMounts" (include "discord-monitor.bridgeAgentVolumeMounts" . | fromYamlArray)) -}}
{{- end -}}

{{/* discord-monitor.notesResources: a branch of resources in one line, for NOTES. Context: the branch. */}}
{{- define "discord-monitor.notesResources" -}}
{{- if . -}}
{{- toJson (default dict .requests) | replace "\"" "" }}, {{ toJson (default dict .limits) | replace "\"" "" -}}
{{- else -}}
none
{{- end -}}
{{- end -}}
