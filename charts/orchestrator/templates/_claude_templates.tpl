{{/* SPDX-License-Identifier: GPL-3.0-or-later
     SPDX-FileCopyrightText: 2026 The orchestrator.platform authors */}}
{{/* orchestrator.claudeTemplates: the data of the templates' ConfigMap, one entry a file claude-templates/**.hbs, slashes turned
     to underscores, each byte as in the file. Stops when two files get one key, when a key is none, and when all are more than
     a ConfigMap holds. Context: chart root. */}}
{{- define "orchestrator.claudeTemplates" -}}
{{- $size := 0 -}}
{{- $from := dict -}}
{{- range $path, $content := .Files.Glob "claude-templates/**.hbs" }}
{{- $key := trimPrefix "claude-templates/" $path | replace "/" "_" -}}
{{- if hasKey $from $key -}}
{{- fail (printf "orchestrator: %s and %s both become key %s of the templates' ConfigMap: rename one" (get $from $key) $path $key) -}}
{{- end -}}
{{- if not (regexMatch "^[-._a-zA-Z0-9]{1,253}$" $key) -}}
{{- fail (printf "orchestrator: %s cannot be a key of a ConfigMap: use letters, digits, dots, hyphens and underscores, 253 at most" $path) -}}
{{- end -}}
{{- $_ := set $from $key $path -}}
{{- $size = add $size (len $key) (len $content) -}}
{{- $key | nindent 0 }}: {{ include "orchestrator.literal" (toString $content) -}}
{{- end -}}
{{- if gt (int64 $size) 1048576 -}}
{{- fail (printf "orchestrator: the files in claude-templates have %d bytes, but a ConfigMap holds 1048576: shorten or remove some" (int64 $size)) -}}
{{- end -}}
{{- end -}}

{{/* orchestrator.literal: a text as a YAML value that reads back byte by byte. A block with its indentation said, so that the first
     line may be indented; where a block could not hold the text (control characters, line ends of another kind), a quoted
     string in Go's ASCII form, whose escapes all mean the same in YAML.
     Context: the text. */}}
{{- define "orchestrator.literal" -}}
{{- if or (eq . "") (regexMatch "[^\\x{9}\\x{A}\\x{20}-\\x{7E}\\x{A0}-\\x{2027}\\x{202A}-\\x{D7FF}\\x{E000}-\\x{FEFE}\\x{FF00}-\\x{FFFD}\\x{10000}-\\x{10FFFF}]" .) -}}
{{- printf "%+q" . -}}
{{- else -}}
|2{{ hasSuffix "\n" . | ternary "+" "-" }}
{{ trimSuffix "\n" . | indent 2 }}
{{- end -}}
{{- end -}}
