{{/* SPDX-License-Identifier: GPL-3.0-or-later
     SPDX-FileCopyrightText: 2026 The orchestrator.platform authors */}}
{{/* orchestrator.rules: the rules of the role, as a YAML list. Context: chart root. */}}
{{- define "orchestrator.rules" -}}
{{- if .Values.rbac.rules -}}
{{- toYaml .Values.rbac.rules -}}
{{- else -}}
{{- include (printf "orchestrator.rules.%s" .Values.rbac.profile) . -}}
{{- end -}}
{{- end -}}

{{/* What the controller does, and no more: it never lists Secrets, writes some only with channels of runs, and Jobs reach theirs by
     name. */}}
{{- define "orchestrator.rules.least-privilege" -}}
- apiGroups: [orchestrator.platform]
  resources: [coderuns, docsruns]
  verbs: [get, list, watch, create, update, patch]
- apiGroups: [orchestrator.platform]
  resources: [coderuns/status, docsruns/status]
  verbs: [get, update, patch]
# Owner references that block a deletion need it where admission guards them.
- apiGroups: [orchestrator.platform]
  resources: [coderuns/finalizers, docsruns/finalizers]
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, update, patch, delete]
# To say which Secret of an agent is missing.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
{{- if and .Values.sidecar.runChannels.enabled .Values.rbac.namespaced }}
# To make the Secret with the webhook of a run, and to remove it with the run's Job. Names of runs are not known beforehand.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create, delete]
{{- end }}
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, create]
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* The list of the original chart, for its image and for whoever built on it. */}}
{{- define "orchestrator.rules.compatible" -}}
- apiGroups: [orchestrator.platform]
  resources: [coderuns, docsruns]
  verbs: [create, get, list, watch, update, patch, delete]
- apiGroups: [orchestrator.platform]
  resources: [coderuns/status, docsruns/status]
  verbs: [get, update, patch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [create, get, list, watch, delete, patch, update]
- apiGroups: [""]
  resources: [configmaps, secrets]
  verbs: [get, list, create, update, delete, watch, patch]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, list, create, update, delete, patch]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, create, update, delete, patch]
- apiGroups: [""]
  resources: [pods, pods/log]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [create, get, list, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [get, list, watch]
{{- end -}}

{{/* orchestrator.roleElsewhere: a Role of one rule and its binding to the controller's account, in a namespace of its own choice.
     Context: (dict "context" <chart root> "name" "…" "namespace" "…" "rule" <map>). */}}
{{- define "orchestrator.roleElsewhere" }}
{{- $metadata := include "orchestrator.metadata" (dict "context" .context "name" .name "cluster" true) | fromYaml }}
{{- $_ := set $metadata "namespace" .namespace }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  {{- toYaml $metadata | nindent 2 }}
rules:
  {{- toYaml (list .rule) | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  {{- toYaml $metadata | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ .name | quote }}
subjects:
  - kind: ServiceAccount
    name: {{ include "orchestrator.serviceAccountName" .context | quote }}
    namespace: {{ .context.Release.Namespace | quote }}
{{- end -}}
