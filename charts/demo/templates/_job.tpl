{{/* SPDX-License-Identifier: GPL-3.0-or-later
     SPDX-FileCopyrightText: 2026 The orchestrator.platform authors */}}

{{/* demo.jobTemplate: the pod template of the sample Job, apart because its digest is part of the Job's name. Context: chart root. */}}
{{- define "demo.jobTemplate" -}}
metadata:
  labels:
    {{- include "demo.selectorLabels" (dict "context" . "component" "agent-job") | nindent 4 }}
spec:
  {{- include "demo.podSettings" . | nindent 2 }}
  restartPolicy: Never
  {{- with .Values.job.activeDeadlineSeconds }}
  activeDeadlineSeconds: {{ int64 . }}
  {{- end }}
  initContainers:
    {{- include "discord-monitor.sidecarNative" . | nindent 4 }}
    {{- include "discord-monitor.inputBridgeNative" . | nindent 4 }}
  containers:
    - name: agent
      command: ["sample-agent"]
      # Without watcher there is no volume to write to but the container's own file system.
      {{- $mounts := include "discord-monitor.agentVolumeMounts" . }}
      {{- include "demo.container" (dict "context" . "readOnly" (not (empty $mounts)) "resources" .Values.agent.resources) | nindent 6 }}
      env:
        {{- include "demo.agentEnv" (dict "context" . "runOnce" true "loop" false) | nindent 8 }}
      volumeMounts:
        {{- $mounts | nindent 8 }}
        {{- include "discord-monitor.bridgeAgentVolumeMounts" . | nindent 8 }}
  volumes:
    {{- include "discord-monitor.volumes" . | nindent 4 }}
    {{- include "discord-monitor.bridgeVolumes" . | nindent 4 }}
{{- end -}}
