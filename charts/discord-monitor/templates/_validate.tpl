{{/* SPDX-License-Identifier: GPL-3.0-or-later
     SPDX-FileCopyrightText: 2026 The orchestrator.platform authors */}}

{{/* What the schema cannot say, or could only say by printing the value. Each sentence names the key and the remedy; none
     prints a secret. Both templates print nothing. */}}

{{/* discord-monitor.validate: the whole chart, once, from snippet-configmap.yaml. Context: chart root. */}}
{{- define "discord-monitor.validate" -}}
{{- $v := .Values -}}
{{- if and (hasKey $v "enabled") (not $v.enabled) -}}
{{- fail "discord-monitor: enabled=false only works as the condition of a dependency: use bot.enabled, discord.monitoring.enabled and snippet.publish" -}}
{{- end -}}
{{- if $v.bot.enabled -}}
{{- include "discord-monitor.validateBot" . -}}
{{- end -}}
{{- include "discord-monitor.validateSnippet" . -}}
{{- if and $v.snippet.publish $v.discord.monitoring.enabled (not $v.webhook.existingSecret) $v.webhook.url -}}
{{- fail "discord-monitor: webhook.url would stand in the published ConfigMap: set snippet.publish=false, or webhook.existingSecret=true and put the URL into a Secret" -}}
{{- end -}}
{{- if and $v.snippet.publish $v.transcripts.existingVolume -}}
{{- fail "discord-monitor: transcripts.existingVolume names a volume of one host pod, but the published snippet goes into any pod: set snippet.publish=false, or empty transcripts.existingVolume" -}}
{{- end -}}
{{- if $v.rbac.create -}}
{{- include "discord-monitor.validateRbac" . -}}
{{- end -}}
{{- include "discord-monitor.validateAdmission" . -}}
{{- end -}}

{{- define "discord-monitor.validateBot" -}}
{{- $secret := .Values.bot.secret -}}
{{- if and $secret.create (not $secret.value) -}}
{{- fail "discord-monitor: bot.secret.create is true but bot.secret.value is empty: give the token, or set bot.secret.create=false and name your Secret in bot.secret.existingName" -}}
{{- end -}}
{{- if and $secret.create (not (has $secret.existingName (list "" "discord-monitor-bot"))) -}}
{{- fail "discord-monitor: bot.secret.create and bot.secret.existingName contradict each other: set bot.secret.create=false to use your Secret, or bot.secret.existingName=\"\" to have one created" -}}
{{- end -}}
{{- if and (not $secret.create) (not $secret.existingName) -}}
{{- fail "discord-monitor: bot.secret.existingName is empty and bot.secret.create is false: name the Secret that holds the bot token, set bot.secret.create=true with bot.secret.value, or bot.enabled=false" -}}
{{- end -}}
{{- if and (not $secret.create) $secret.value -}}
{{- fail "discord-monitor: bot.secret.value is set but bot.secret.create is false, so it would only be kept in the release record: set bot.secret.create=true, or empty bot.secret.value" -}}
{{- end -}}
{{- if regexMatch "[[:space:]]" $secret.value -}}
{{- fail "discord-monitor: bot.secret.value contains white space, perhaps a newline at its end: give the token alone" -}}
{{- end -}}
{{- if regexMatch "^[^/]*//[^/]*@" .Values.bot.discordApiUrl -}}
{{- fail "discord-monitor: bot.discordApiUrl carries credentials, which would stand in a ConfigMap: leave them out" -}}
{{- end -}}
{{- $config := list "BOT_TOKEN" "BOT_API_TOKEN" "LOG_LEVEL" "HEALTH_PORT" "DISCORD_API_URL" "BOT_INPUT_KEY" "COMMANDS_ALLOWED_USERS" "COMMANDS_PREFIX" "COMMANDS_KEEP_SECONDS" "COMMANDS_POLL_SECONDS" "DISCORD_GUILD_ID" "DISCORD_CATEGORY_ID" "RETENTION_CHANNELS" "STATS_TRACK_COST" "STATS_TRACK_TOKENS" "STATS_TRACK_ERRORS" "RETENTION_ENABLED" "RETENTION_DAYS" "RETENTION_MAX_MESSAGES" "RETENTION_SWEEP_INTERVAL" -}}
{{- include "discord-monitor.validateEnv" (dict "key" "bot.extraEnv" "env" .Values.bot.extraEnv "reserved" $config "secrets" list) -}}
{{- end -}}

{{- define "discord-monitor.validateRbac" -}}
{{- if eq (include "discord-monitor.serviceAccountName" .) "default" -}}
{{- fail "discord-monitor: rbac.create would give rights to the namespace's default account: set serviceAccount.create=true or serviceAccount.name" -}}
{{- end -}}
{{- range .Values.rbac.rules -}}
{{- range (default list .resources) -}}
{{- if regexMatch "^([*]|secrets(/.*)?)$" . -}}
{{- fail (printf "discord-monitor: rbac.rules reaches Secrets through resource %s: the bot needs none, leave the rule out" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* discord-monitor.validateSnippet: what a snippet needs, also with sub-values that no schema has seen. Context: chart root, or what discord-monitor.resolve has set. */}}
{{- define "discord-monitor.validateSnippet" -}}
{{- $v := .Values -}}
{{- $botSecrets := list (include "discord-monitor.botSecretName" .) $v.bot.secret.existingName $v.bot.api.existingSecret $v.bot.input.existingSecret -}}
{{- if $v.discord.monitoring.enabled -}}
{{- include "discord-monitor.validateWebhook" . -}}
{{- $reserved := list "DISCORD_WEBHOOK_URL" "WORKSPACE_PATH" "POLL_INTERVAL" "BATCH_SIZE" "FILTERS" "STATS_TRACK_COST" "STATS_TRACK_TOKENS" "STATS_TRACK_ERRORS" "PARITY_MODE" "LOG_LEVEL" "HEALTH_PORT" "STATE_PATH" "OUTAGE_LIMIT_SECONDS" "RATE_LIMIT" "SESSION_SUMMARY" "STATS_PRICES" "REDACT_GUESS" "REDACT_PATTERNS" "DISCORD_THREAD_ID" "THREAD_PER_SESSION" "PRESSURE_SECONDS" "BOT_TOKEN" "BOT_API_TOKEN" "BOT_INPUT_KEY" -}}
{{- include "discord-monitor.validateEnv" (dict "key" "watcher.extraEnv" "env" $v.watcher.extraEnv "reserved" $reserved "secrets" $botSecrets) -}}
{{- end -}}
{{- if $v.inputBridge.enabled -}}
{{- if eq (int64 $v.inputBridge.port) (int64 $v.probes.port) -}}
{{- fail (printf "discord-monitor: inputBridge.port and probes.port are both %d, but watcher and bridge share the pod's network: change one of them" (int64 $v.probes.port)) -}}
{{- end -}}
{{- if and $v.inputBridge.fifoPath (not (regexMatch "^(/[^/]+){2,}$" $v.inputBridge.fifoPath)) -}}
{{- fail "discord-monitor: inputBridge.fifoPath has to be an absolute path in a folder of its own, such as /var/run/agent-input/fifo" -}}
{{- end -}}
{{- if and $v.inputBridge.fifoPath (eq (dir $v.inputBridge.fifoPath) (clean $v.transcripts.path)) -}}
{{- fail "discord-monitor: inputBridge.fifoPath lies directly in transcripts.path, and one folder cannot be two volumes: give the FIFO a folder of its own" -}}
{{- end -}}
{{- $reserved := list "BIND_ADDR" "PORT" "FIFO_PATH" "LOG_LEVEL" "BOT_TOKEN" "BOT_API_TOKEN" "BOT_INPUT_KEY" "BOT_URL" "BOT_INPUT_CREDENTIAL" "STOP_LINE" "DISCORD_WEBHOOK_URL" -}}
{{- include "discord-monitor.validateEnv" (dict "key" "inputBridge.extraEnv" "env" $v.inputBridge.extraEnv "reserved" $reserved "secrets" $botSecrets) -}}
{{- if $v.inputBridge.pull.enabled -}}
{{- include "discord-monitor.validatePull" (dict "Values" $v "secrets" $botSecrets) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* discord-monitor.validatePull: the way from the bot to the bridge. Context: (dict "Values" … "secrets" <names of the bot's Secrets>). */}}
{{- define "discord-monitor.validatePull" -}}
{{- $pull := .Values.inputBridge.pull -}}
{{- if not .Values.inputBridge.fifoPath -}}
{{- fail "discord-monitor: inputBridge.pull.enabled needs a FIFO to write to: set inputBridge.fifoPath, such as /var/run/agent-input/fifo" -}}
{{- end -}}
{{- if not (or $pull.botUrl .Values.bot.enabled) -}}
{{- fail "discord-monitor: inputBridge.pull.enabled without a bot in this release (bot.enabled=false): name the bot in inputBridge.pull.botUrl" -}}
{{- end -}}
{{- if and $pull.botUrl (not (regexMatch "^https?://[A-Za-z0-9.:_\\[\\]-]+(/[A-Za-z0-9_./-]*)?$" $pull.botUrl)) -}}
{{- fail "discord-monitor: inputBridge.pull.botUrl is not an http or https URL without credentials, such as http://discord-monitor.discord-monitor.svc:8080" -}}
{{- end -}}
{{- if has $pull.secretName .secrets -}}
{{- fail (printf "discord-monitor: inputBridge.pull.secretName names the bot's Secret %s, which no agent's pod may read: give the credential a Secret of its own" $pull.secretName) -}}
{{- end -}}
{{- end -}}

{{- define "discord-monitor.validateWebhook" -}}
{{- $w := .Values.webhook -}}
{{- if and $w.existingSecret $w.url -}}
{{- fail "discord-monitor: webhook.url is set but webhook.existingSecret is true, so it would only be kept in the release record: empty webhook.url, or set webhook.existingSecret=false and webhook.allowLiteralUrl=true" -}}
{{- end -}}
{{- if $w.existingSecret -}}
{{- $_ := required "discord-monitor: webhook.name is empty: name the Secret that holds the webhook URL" $w.name -}}
{{- $_ = required "discord-monitor: webhook.key is empty: name the key of the webhook URL in the Secret" $w.key -}}
{{- else -}}
{{- if not $w.allowLiteralUrl -}}
{{- fail "discord-monitor: webhook.existingSecret=false puts the webhook URL, a credential, into the pod and the release record: use a Secret (webhook.existingSecret=true), or say webhook.allowLiteralUrl=true for a test" -}}
{{- end -}}
{{- $_ := required "discord-monitor: webhook.url is empty while webhook.existingSecret is false: give the URL of the test endpoint, or set webhook.existingSecret=true" $w.url -}}
{{- if not (regexMatch "^https?://[^/[:space:]]+/[^[:space:]]+$" $w.url) -}}
{{- fail "discord-monitor: webhook.url is not an http or https URL with a path" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* discord-monitor.validateEnv: further environment neither repeats a name the chart sets, nor brings the bot's credentials to an agent's pod.
     Context: (dict "key" "…" "env" <list> "reserved" <names> "secrets" <names of the bot's Secrets>). */}}
{{- define "discord-monitor.validateEnv" -}}
{{- $here := . -}}
{{- range .env -}}
{{- if has .name $here.reserved -}}
{{- fail (printf "discord-monitor: %s names %s, which the chart sets or keeps out of this container: use the value it comes from, or leave it out" $here.key .name) -}}
{{- end -}}
{{- $ref := dig "valueFrom" "secretKeyRef" "name" "" . -}}
{{- if and $ref (has $ref $here.secrets) -}}
{{- fail (printf "discord-monitor: %s reads the bot's Secret %s: the bot's credentials belong to the bot's pod only, leave the entry out" $here.key $ref) -}}
{{- end -}}
{{- end -}}
{{- end -}}
