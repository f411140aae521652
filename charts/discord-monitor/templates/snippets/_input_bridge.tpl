{{/* SPDX-License-Identifier: GPL-3.0-or-later
     SPDX-FileCopyrightText: 2026 The orchestrator.platform authors */}}

{{/* discord-monitor.inputBridge: a list of one container, the bridge; nothing unless inputBridge.enabled. It listens on
     loopback, so nothing outside the pod reaches it: no Service, no host port, and probes that run inside.
     For a Deployment, below `containers:`. Context: see discord-monitor.resolve. The caller indents. */}}
{{- define "discord-monitor.inputBridge" -}}
{{- $c := dict "of" . -}}
{{- include "discord-monitor.resolve" $c -}}
{{- if $c.Values.inputBridge.enabled -}}
{{- include "discord-monitor.bridge" $c -}}
{{- end -}}
{{- end -}}

{{/* discord-monitor.inputBridgeNative: the same as a native sidecar, below `initContainers:`; for Jobs. */}}
{{- define "discord-monitor.inputBridgeNative" -}}
{{- with include "discord-monitor.inputBridge" . -}}
{{ . }}
  restartPolicy: Always
{{- end -}}
{{- end -}}

{{/* discord-monitor.bridgeVolumes: the volume of the FIFO, below `volumes:`; nothing without bridge or FIFO.
     Context: see discord-monitor.resolve. The caller indents. */}}
{{- define "discord-monitor.bridgeVolumes" -}}
{{- $c := dict "of" . -}}
{{- include "discord-monitor.resolve" $c -}}
{{- if and $c.Values.inputBridge.enabled $c.Values.inputBridge.fifoPath -}}
{{- include "discord-monitor.emptyDir" (dict "name" "discord-fifo" "sizeLimit" $c.Values.inputBridge.sizeLimit) -}}
{{- end -}}
{{- end -}}

{{/* discord-monitor.bridgeAgentVolumeMounts: how agent and bridge mount the folder of the FIFO, below `volumeMounts:`; nothing
     without bridge or FIFO. Context: see discord-monitor.resolve. The caller indents. */}}
{{- define "discord-monitor.bridgeAgentVolumeMounts" -}}
{{- $c := dict "of" . -}}
{{- include "discord-monitor.resolve" $c -}}
{{- if $c.Values.inputBridge.enabled -}}
{{- include "discord-monitor.fifoMount" $c -}}
{{- end -}}
{{- end -}}

{{/* discord-monitor.fifoMount: the mount itself. Context: what discord-monitor.resolve has set. */}}
{{- define "discord-monitor.fifoMount" -}}
{{- with .Values.inputBridge.fifoPath -}}
- name: discord-fifo
  mountPath: {{ dir . | quote }}
{{- end -}}
{{- end -}}

{{/* discord-monitor.bridge: the container itself. Context: what discord-monitor.resolve has set. */}}
{{- define "discord-monitor.bridge" -}}
{{- $v := .Values -}}
{{- $env := list (list "BIND_ADDR" "127.0.0.1") (list "PORT" $v.inputBridge.port) -}}
{{- with $v.inputBridge.fifoPath -}}
{{- $env = append $env (list "FIFO_PATH" .) -}}
{{- end -}}
{{- $env = append $env (list "LOG_LEVEL" $v.logLevel) -}}
- name: input-bridge
  image: {{ include "discord-monitor.image" (dict "image" $v.images.inputBridge "chart" .Chart) | quote }}
  imagePullPolicy: {{ $v.images.inputBridge.pullPolicy }}
  args: ["bridge"]
  env:
    {{- include "discord-monitor.env" $env | trim | nindent 4 }}
    {{- with include "discord-monitor.bridgePull" . }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with $v.inputBridge.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - name: bridge
      containerPort: {{ int64 $v.inputBridge.port }}
      protocol: TCP
  {{- $probe := dict "exec" (list "discord-monitor" "healthcheck" "bridge") }}
  {{- with include "discord-monitor.livenessProbe" (merge (dict "probe" $v.probes.inputBridge.liveness) $probe) }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with include "discord-monitor.readinessProbe" (merge (dict "probe" $v.probes.inputBridge.readiness) $probe) }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with include "discord-monitor.resources" $v.inputBridge.resources }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- include "discord-monitor.securityContext" (dict "shared" $v.securityContext "own" $v.inputBridge.securityContext) | nindent 2 }}
  {{- with include "discord-monitor.fifoMount" . }}
  volumeMounts:
    {{- . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* discord-monitor.bridgePull: the environment with which the bridge asks the bot; nothing unless inputBridge.pull.enabled. The
     reference is optional, as that of the webhook. Context: what discord-monitor.resolve has set. */}}
{{- define "discord-monitor.bridgePull" -}}
{{- $pull := .Values.inputBridge.pull -}}
{{- if $pull.enabled -}}
{{- $bot := printf "http://%s.%s.svc:%d" (include "discord-monitor.fullname" .) .Release.Namespace (int64 .Values.bot.service.port) -}}
{{- include "discord-monitor.env" (list
      (list "BOT_URL" (default $bot $pull.botUrl))
      (list "STOP_LINE" ($pull.stopLine | replace "$(" "$$("))) | trim }}
- name: BOT_INPUT_CREDENTIAL
  valueFrom:
    secretKeyRef:
      name: {{ $pull.secretName | quote }}
      key: {{ $pull.secretKey | quote }}
      optional: true
{{- end -}}
{{- end -}}
