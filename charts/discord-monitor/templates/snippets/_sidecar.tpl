{{/* SPDX-License-Identifier: GPL-3.0-or-later
     SPDX-FileCopyrightText: 2026 The orchestrator.platform authors */}}

{{/* discord-monitor.sidecar: a list of one container, the watcher; nothing when discord.monitoring.enabled is false.
     For a Deployment, below `containers:` and behind the agent. Context: see discord-monitor.resolve. The caller indents. */}}
{{- define "discord-monitor.sidecar" -}}
{{- $c := dict "of" . -}}
{{- include "discord-monitor.resolve" $c -}}
{{- if $c.Values.discord.monitoring.enabled -}}
{{- include "discord-monitor.watcher" $c -}}
{{- end -}}
{{- end -}}

{{/* discord-monitor.sidecarNative: the same container as a native sidecar: below `initContainers:`, for Jobs above all, which
     would never complete beside a classic sidecar. Context: see discord-monitor.resolve. The caller indents. */}}
{{- define "discord-monitor.sidecarNative" -}}
{{- with include "discord-monitor.sidecar" . -}}
{{ . }}
  restartPolicy: Always
{{- end -}}
{{- end -}}

{{/* discord-monitor.volumes: the volumes the watcher needs, below `volumes:`; nothing when monitoring is off.
     Context: see discord-monitor.resolve. The caller indents. */}}
{{- define "discord-monitor.volumes" -}}
{{- $c := dict "of" . -}}
{{- include "discord-monitor.resolve" $c -}}
{{- if $c.Values.discord.monitoring.enabled -}}
{{- if not $c.Values.transcripts.existingVolume -}}
{{- include "discord-monitor.emptyDir" (dict "name" "discord-transcripts" "sizeLimit" $c.Values.transcripts.sizeLimit) }}
{{ end -}}
{{- include "discord-monitor.emptyDir" (dict "name" "discord-state" "sizeLimit" $c.Values.watcher.state.sizeLimit) -}}
{{- end -}}
{{- end -}}

{{/* discord-monitor.agentVolumeMounts: what the agent's own container mounts, below its `volumeMounts:`; nothing when
     monitoring is off or the host owns the volume. Context: see discord-monitor.resolve. The caller indents. */}}
{{- define "discord-monitor.agentVolumeMounts" -}}
{{- $c := dict "of" . -}}
{{- include "discord-monitor.resolve" $c -}}
{{- if and $c.Values.discord.monitoring.enabled (not $c.Values.transcripts.existingVolume) -}}
- name: discord-transcripts
  mountPath: {{ $c.Values.transcripts.path | quote }}
{{- end -}}
{{- end -}}

{{/* discord-monitor.watcher: the container itself. Kubernetes replaces $(NAME) in a value and turns $$( back into $(, so a
     pattern with "$(" is written that way. Context: what discord-monitor.resolve has set. */}}
{{- define "discord-monitor.watcher" -}}
{{- $v := .Values -}}
- name: discord-watcher
  image: {{ include "discord-monitor.image" (dict "image" $v.images.watcher "chart" .Chart) | quote }}
  imagePullPolicy: {{ $v.images.watcher.pullPolicy }}
  args: ["watch"]
  env:
    {{- include "discord-monitor.watcherWebhook" . | nindent 4 }}
    {{- include "discord-monitor.env" (list
          (list "WORKSPACE_PATH" (default $v.transcripts.path $v.workspace.path))
          (list "POLL_INTERVAL" $v.polling.interval)
          (list "BATCH_SIZE" $v.batchSize)
          (list "FILTERS" (toJson $v.filters | replace "$(" "$$("))
          (list "STATS_TRACK_COST" $v.stats.trackCost)
          (list "STATS_TRACK_TOKENS" $v.stats.tokens)
          (list "STATS_TRACK_ERRORS" $v.stats.errors)
          (list "PARITY_MODE" (include "discord-monitor.parityMode" . | default "false"))
          (list "LOG_LEVEL" $v.logLevel)
          (list "HEALTH_PORT" $v.probes.port)
          (list "STATE_PATH" $v.watcher.state.path)
          (list "OUTAGE_LIMIT_SECONDS" $v.webhook.outageLimitSeconds)
          (list "RATE_LIMIT" $v.webhook.rateLimit)
          (list "SESSION_SUMMARY" $v.stats.sessionSummary)
          (list "STATS_PRICES" (toJson $v.stats.prices.models | replace "$(" "$$("))
          (list "REDACT_GUESS" $v.redaction.guess)
          (list "REDACT_PATTERNS" (toJson $v.redaction.patterns | replace "$(" "$$("))
          (list "DISCORD_THREAD_ID" $v.webhook.threadId)
          (list "THREAD_PER_SESSION" $v.webhook.threadPerSession)
          (list "PRESSURE_SECONDS" $v.webhook.pressureSeconds)) | trim | nindent 4 }}
    {{- with $v.watcher.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - name: health
      containerPort: {{ int64 $v.probes.port }}
      protocol: TCP
  {{- $probe := dict "path" $v.probes.path "port" $v.probes.port }}
  {{- with include "discord-monitor.livenessProbe" (merge (dict "probe" $v.probes.watcher.liveness) $probe) }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with include "discord-monitor.readinessProbe" (merge (dict "probe" $v.probes.watcher.readiness) $probe) }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with include "discord-monitor.resources" $v.resources }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- include "discord-monitor.securityContext" (dict "shared" $v.securityContext "own" $v.watcher.securityContext) | nindent 2 }}
  volumeMounts:
    - name: {{ default "discord-transcripts" $v.transcripts.existingVolume | quote }}
      mountPath: {{ $v.transcripts.path | quote }}
      readOnly: true
      {{- with $v.transcripts.subPath }}
      subPath: {{ . | quote }}
      {{- end }}
    - name: discord-state
      mountPath: {{ $v.watcher.state.path | quote }}
    {{- with $v.watcher.volumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* discord-monitor.watcherWebhook: the entry DISCORD_WEBHOOK_URL. The reference is optional, because a missing Secret would
     keep a native sidecar, and with it the agent, from starting. Context: what discord-monitor.resolve has set. */}}
{{- define "discord-monitor.watcherWebhook" -}}
- name: DISCORD_WEBHOOK_URL
{{- if .Values.webhook.existingSecret }}
  valueFrom:
    secretKeyRef:
      name: {{ .Values.webhook.name | quote }}
      key: {{ .Values.webhook.key | quote }}
      optional: true
{{- else }}
  value: {{ .Values.webhook.url | quote }}
{{- end }}
{{- end -}}
