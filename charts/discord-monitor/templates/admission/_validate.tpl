{{/* SPDX-License-Identifier: GPL-3.0-or-later
     SPDX-FileCopyrightText: 2026 The orchestrator.platform authors */}}

{{/* discord-monitor.validateAdmission: what both policies need. Prints nothing. Context: chart root. */}}
{{- define "discord-monitor.validateAdmission" -}}
{{- $v := .Values -}}
{{- $server := .Capabilities.KubeVersion.Version -}}
{{- if $v.admission.enabled -}}
{{- if not (semverCompare ">=1.36-0" $server) -}}
{{- fail (printf "discord-monitor: admission.enabled needs Kubernetes 1.36, the first version that serves MutatingAdmissionPolicy as v1, and this is %s: set admission.enabled=false and inject with the role sidecar or the include" $server) -}}
{{- end -}}
{{- if not $v.discord.monitoring.enabled -}}
{{- fail "discord-monitor: admission.enabled has no watcher to inject while discord.monitoring.enabled is false: switch one of them" -}}
{{- end -}}
{{- if not $v.webhook.existingSecret -}}
{{- fail "discord-monitor: webhook.existingSecret=false would put the webhook URL into a policy that everyone in the cluster may read: use a Secret, or set admission.enabled=false" -}}
{{- end -}}
{{- if $v.transcripts.existingVolume -}}
{{- fail "discord-monitor: transcripts.existingVolume names a volume of one host pod, but the policy goes into any pod: empty it, or set admission.enabled=false; a pod names its volume by annotation orchestrator.platform/transcript-volume" -}}
{{- end -}}
{{- if and $v.admission.bridge (not $v.inputBridge.enabled) -}}
{{- fail "discord-monitor: admission.bridge has no bridge to inject while inputBridge.enabled is false: switch one of them" -}}
{{- end -}}
{{- end -}}
{{- $mode := toString $v.enforcement.mode -}}
{{- if has $mode (list "warn" "deny") -}}
{{- if not (semverCompare ">=1.30-0" $server) -}}
{{- fail (printf "discord-monitor: enforcement.mode=%s needs Kubernetes 1.30, the first version that serves ValidatingAdmissionPolicy as v1, and this is %s: set enforcement.mode=\"off\"" $mode $server) -}}
{{- end -}}
{{- end -}}
{{- if and (or $v.admission.enabled (has $mode (list "warn" "deny"))) (has $v.webhook.name (include "discord-monitor.botSecretNames" . | fromJsonArray)) -}}
{{- fail (printf "discord-monitor: webhook.name is %s, the Secret of the bot, which no watcher may read: give the webhook URL a Secret of its own" $v.webhook.name) -}}
{{- end -}}
{{- end -}}

{{/* discord-monitor.botSecretNames: every Secret with credentials of the bot, as a JSON list. Context: chart root. */}}
{{- define "discord-monitor.botSecretNames" -}}
{{- list (include "discord-monitor.botSecretName" .) .Values.bot.secret.existingName .Values.bot.api.existingSecret .Values.bot.input.existingSecret | compact | uniq | toJson -}}
{{- end -}}
