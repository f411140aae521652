{{/* SPDX-License-Identifier: GPL-3.0-or-later
     SPDX-FileCopyrightText: 2026 The orchestrator.platform authors */}}
{{/* orchestrator.controllerConfig: the file config.yaml that the controller reads, as YAML. Numbers and switches come through as
     they are, 0 and false included. Context: chart root. */}}
{{- define "orchestrator.controllerConfig" -}}
{{- $v := .Values -}}
{{- $t := $v.agent.telemetry -}}
{{- $pullSecrets := list -}}
{{- range $v.imagePullSecrets -}}
{{- $pullSecrets = append $pullSecrets .name -}}
{{- end -}}
{{- $storage := dict "workspaceSize" $v.storage.workspaceSize -}}
{{- with $v.storage.storageClassName -}}
{{- $_ := set $storage "storageClassName" . -}}
{{- end -}}
{{- $agent := dict
      "image" (dict "repository" $v.agent.image.repository "tag" (toString $v.agent.image.tag) "pullPolicy" $v.agent.image.pullPolicy)
      "imagePullSecrets" $pullSecrets
      "podSecurityContext" (default dict $v.agent.podSecurityContext)
      "securityContext" (default dict $v.agent.securityContext)
      "resources" (default dict $v.agent.resources) -}}
{{- with $v.agent.githubHost -}}
{{- $_ := set $agent "githubHost" . -}}
{{- end -}}
{{- $sidecar := dict
      "snippetConfigMap" $v.sidecar.snippetConfigMap
      "namespace" $v.sidecar.namespace
      "bridge" $v.sidecar.bridge -}}
{{- if $v.sidecar.runChannels.enabled -}}
{{- $_ := set $sidecar "runChannels" (dict "botUrl" $v.sidecar.runChannels.botUrl) -}}
{{- end -}}
{{- toYaml (dict
    "job" (dict "activeDeadlineSeconds" (int64 $v.agent.activeDeadlineSeconds))
    "agent" $agent
    "secrets" (dict
      "apiKeySecretName" (include "orchestrator.secretName" .)
      "apiKeySecretKey" (include "orchestrator.secretKey" .))
    "permissions" (dict
      "agentToolsOverride" $v.agent.permissions.agentToolsOverride
      "allow" (default list $v.agent.permissions.allow)
      "deny" (default list $v.agent.permissions.deny))
    "telemetry" (dict
      "enabled" (and $t.enabled (ne $t.otlpEndpoint ""))
      "otlpEndpoint" $t.otlpEndpoint
      "otlpProtocol" $t.otlpProtocol
      "logsEndpoint" (default $t.otlpEndpoint $t.logsEndpoint)
      "logsProtocol" $t.logsProtocol)
    "sidecar" $sidecar
    "storage" $storage
    "cleanup" (dict
      "enabled" $v.cleanup.enabled
      "completedJobDelayMinutes" (int64 $v.cleanup.completedJobDelayMinutes)
      "failedJobDelayMinutes" (int64 $v.cleanup.failedJobDelayMinutes)
      "deleteConfigMap" $v.cleanup.deleteConfigMap)) -}}
{{- end -}}
