{{/* The environment of a service: MEDQ_<SERVICE>_<FIELD>, each a field of its settings class. */}}

{{/* (dict "prefix" "MEDQ_X" "field" "batch_size" "value" any): one variable; a section's fields follow two underscores. */}}
{{- define "medq.setting" -}}
{{- if and (kindIs "map" .value) (not .section) -}}
{{- $prefix := printf "%s_%s_" .prefix (upper .field) -}}
{{- range $field, $value := .value }}
{{ include "medq.setting" (dict "prefix" $prefix "field" $field "value" $value "section" true) }}
{{- end }}
{{- else -}}
- name: {{ printf "%s_%s" .prefix (upper .field) | quote }}
  value: {{ kindIs "string" .value | ternary .value (toJson .value) | quote }}
{{- end -}}
{{- end -}}

{{/* (dict "root" $ "name" "embedding") */}}
{{- define "medq.env" -}}
{{- $ := .root -}}
{{- $own := index $.Values .name -}}
{{- $prefix := printf "MEDQ_%s" (upper .name) -}}
- name: HOME
  value: /tmp
- name: {{ $prefix }}_STATE_FOLDER
  value: /state
- name: {{ $prefix }}_LISTEN
  value: 0.0.0.0:50051
- name: {{ $prefix }}_HEALTH_LISTEN
  value: 0.0.0.0:50052
- name: {{ $prefix }}_METRICS_PORT
  value: "9464"
- name: {{ $prefix }}_OWNER
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: {{ $prefix }}_TARGETS
  value: {{ include "medq.targets" $ | quote }}
- name: {{ $prefix }}_LOG_LEVEL
  value: {{ $.Values.logLevel | quote }}
- name: {{ $prefix }}_IS_REFLECTION_ON
  value: {{ $.Values.reflection | quote }}
- name: {{ $prefix }}_DATABASE_URL
  {{- include "medq.fromSecret" (dict "secret" $.Values.externalPostgresql.existingSecret "key" $.Values.externalPostgresql.urlKey) | nindent 2 }}
{{- if ne .name "evaluation" }}
{{ include "medq.env.kafka" (dict "kafka" (include "medq.kafka" $ | fromYaml) "prefix" $prefix) }}
{{- end }}
{{ include "medq.env.s3" (dict "s3" (include "medq.s3" $ | fromYaml) "prefix" $prefix) }}
{{- include "medq.env.tls" (dict "tls" $.Values.tls "prefix" $prefix) }}
{{- include "medq.env.auth" (dict "auth" $.Values.auth "prefix" $prefix) }}
{{- with $.Values.telemetry.otlpEndpoint }}
- name: {{ $prefix }}_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- if has .name (list "embedding" "evaluation" "training" "controller") }}
- name: {{ $prefix }}_INPUT_ROOTS
  value: {{ list $.Values.data.mountPath | toJson | quote }}
{{- end }}
{{- if and $.Values.endpoints.existingSecret (has .name (list "evaluation" "oracle" "controller")) }}
- name: {{ $prefix }}_ENDPOINTS
  value: /etc/medq/endpoints/endpoints.yaml
{{- end }}
{{- range $field, $value := $own.settings }}
{{ include "medq.setting" (dict "prefix" $prefix "field" $field "value" $value) | trim }}
{{- end }}
{{- range $field, $reference := $own.secretSettings }}
- name: {{ printf "%s_%s" $prefix (upper $field | replace "." "__") | quote }}
  {{- include "medq.fromSecret" (dict "secret" $reference.name "key" $reference.key) | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "medq.env.kafka" -}}
{{- $prefix := printf "%s_KAFKA_" .prefix -}}
- name: {{ $prefix }}_BOOTSTRAP
  value: {{ .kafka.bootstrap | quote }}
- name: {{ $prefix }}_SECURITY_PROTOCOL
  value: {{ .kafka.securityProtocol | quote }}
- name: {{ $prefix }}_TOPIC_PREFIX
  value: {{ .kafka.topicPrefix | quote }}
- name: {{ $prefix }}_PARTITIONS
  value: {{ .kafka.partitions | quote }}
- name: {{ $prefix }}_REPLICATION
  value: {{ .kafka.replication | quote }}
{{- if hasPrefix "SASL" .kafka.securityProtocol }}
- name: {{ $prefix }}_SASL_MECHANISM
  value: {{ .kafka.saslMechanism | quote }}
- name: {{ $prefix }}_USERNAME
  value: {{ .kafka.username | quote }}
- name: {{ $prefix }}_PASSWORD
  {{- include "medq.fromSecret" (dict "secret" .kafka.existingSecret "key" .kafka.passwordKey) | nindent 2 }}
{{- end }}
{{- if .kafka.caSecret }}
- name: {{ $prefix }}_CA_FILE
  value: /etc/medq/kafka/ca.crt
{{- end }}
{{- end -}}

{{- define "medq.env.s3" -}}
{{- $prefix := printf "%s_S3_" .prefix -}}
- name: {{ $prefix }}_ENDPOINT
  value: {{ .s3.endpoint | quote }}
- name: {{ $prefix }}_BUCKET
  value: {{ .s3.bucket | quote }}
- name: {{ $prefix }}_PREFIX
  value: {{ .s3.prefix | quote }}
- name: {{ $prefix }}_REGION
  value: {{ .s3.region | quote }}
- name: {{ $prefix }}_ACCESS_KEY
  {{- include "medq.fromSecret" (dict "secret" .s3.existingSecret "key" .s3.accessKeyKey) | nindent 2 }}
- name: {{ $prefix }}_SECRET_KEY
  {{- include "medq.fromSecret" (dict "secret" .s3.existingSecret "key" .s3.secretKeyKey) | nindent 2 }}
{{- if .s3.caSecret }}
- name: {{ $prefix }}_CA_FILE
  value: /etc/medq/s3/ca.crt
{{- end }}
{{- end -}}

{{- define "medq.env.tls" -}}
{{- if .tls.existingSecret }}
- name: {{ .prefix }}_TLS__CERTIFICATE_FILE
  value: /etc/medq/tls/tls.crt
- name: {{ .prefix }}_TLS__KEY_FILE
  value: /etc/medq/tls/tls.key
- name: {{ .prefix }}_TLS__CA_FILE
  value: /etc/medq/tls/ca.crt
- name: {{ .prefix }}_TLS__IS_CLIENT_CERTIFICATE_REQUIRED
  value: {{ .tls.mutual | quote }}
{{- end }}
{{- end -}}

{{- define "medq.env.auth" -}}
{{- $prefix := printf "%s_AUTH_" .prefix -}}
{{- if .auth.tokensSecret }}
- name: {{ $prefix }}_TOKENS_FILE
  value: /etc/medq/auth/tokens.yaml
{{- end }}
{{- if .auth.oidc.issuer }}
- name: {{ $prefix }}_OIDC_ISSUER
  value: {{ .auth.oidc.issuer | quote }}
- name: {{ $prefix }}_OIDC_AUDIENCE
  value: {{ .auth.oidc.audience | quote }}
- name: {{ $prefix }}_ROLES_CLAIM
  value: {{ .auth.oidc.rolesClaim | quote }}
{{- if .auth.oidc.jwksSecret }}
- name: {{ $prefix }}_JWKS_FILE
  value: /etc/medq/auth/jwks.json
{{- end }}
{{- if .auth.oidc.caSecret }}
- name: {{ $prefix }}_ISSUER_CA_FILE
  value: /etc/medq/auth/issuer-ca.crt
{{- end }}
{{- end }}
{{- if .auth.serviceTokenSecret }}
- name: {{ $prefix }}_TOKEN_FILE
  value: /etc/medq/auth/token
- name: {{ $prefix }}_IS_PLAINTEXT_TOKEN_ALLOWED
  value: {{ .auth.plaintextTokens | quote }}
{{- end }}
{{- end -}}

{{/* Files that come from Secrets: volumes and where they are mounted. */}}
{{- define "medq.secretFiles" -}}
{{- $files := list -}}
{{- if ne .name "web" -}}
{{- if and (ne .name "evaluation") (include "medq.kafka" .root | fromYaml).caSecret -}}
{{- $files = append $files (dict "name" "kafka-ca" "path" "/etc/medq/kafka" "items" (list (list (include "medq.kafka" .root | fromYaml).caSecret "ca.crt"))) -}}
{{- end -}}
{{- with (include "medq.s3" .root | fromYaml).caSecret -}}
{{- $files = append $files (dict "name" "s3-ca" "path" "/etc/medq/s3" "items" (list (list . "ca.crt"))) -}}
{{- end -}}
{{- with .root.Values.externalPostgresql.caSecret -}}
{{- $files = append $files (dict "name" "postgresql-ca" "path" "/etc/medq/postgresql" "items" (list (list . "ca.crt"))) -}}
{{- end -}}
{{- end -}}
{{- if and (eq .name "retrieval") (include "medq.qdrant" .root | fromYaml).caSecret -}}
{{- $files = append $files (dict "name" "qdrant-ca" "path" "/etc/medq/qdrant" "items" (list (list (include "medq.qdrant" .root | fromYaml).caSecret "ca.crt"))) -}}
{{- end -}}
{{- with .root.Values.tls.existingSecret -}}
{{- $files = append $files (dict "name" "tls" "path" "/etc/medq/tls" "items" (list (list . "tls.crt") (list . "tls.key") (list . "ca.crt"))) -}}
{{- end -}}
{{- if has .name (list "evaluation" "oracle" "controller") -}}
{{- /* The controller looks what an endpoint may receive, and asks none: it has the file without the keys. */ -}}
{{- with .root.Values.endpoints.existingSecret -}}
{{- $files = append $files (dict "name" "endpoints" "path" "/etc/medq/endpoints" "items" (list (list . (ternary "endpoints.yaml" "" (eq $.name "controller"))))) -}}
{{- end -}}
{{- end -}}
{{- $auth := list -}}
{{- with .root.Values.auth.tokensSecret -}}{{- $auth = append $auth (list . "tokens.yaml") -}}{{- end -}}
{{- if .root.Values.auth.oidc.issuer -}}{{- with .root.Values.auth.oidc.jwksSecret -}}{{- $auth = append $auth (list . "jwks.json") -}}{{- end -}}
{{- with .root.Values.auth.oidc.caSecret -}}{{- $auth = append $auth (list . "issuer-ca.crt") -}}{{- end -}}{{- end -}}
{{- if ne .name "web" -}}{{- with .root.Values.auth.serviceTokenSecret -}}{{- $auth = append $auth (list . "token") -}}{{- end -}}{{- end -}}
{{- if $auth -}}
{{- $files = append $files (dict "name" "auth" "path" "/etc/medq/auth" "items" $auth) -}}
{{- end -}}
{{- if eq .name "web" -}}
{{- $keys := list (list .root.Values.web.sessionSecret "session-key") -}}
{{- with .root.Values.web.clientSecret -}}{{- $keys = append $keys (list . "client-secret") -}}{{- end -}}
{{- $files = append $files (dict "name" "web" "path" "/etc/medq/web" "items" $keys) -}}
{{- end -}}
{{- toJson $files -}}
{{- end -}}

{{- define "medq.secretMounts" -}}
{{- range include "medq.secretFiles" . | fromJsonArray }}
- name: {{ .name }}
  mountPath: {{ .path }}
  readOnly: true
{{- end }}
{{- end -}}

{{- define "medq.secretVolumes" -}}
{{- range include "medq.secretFiles" . | fromJsonArray }}
- name: {{ .name }}
  projected:
    defaultMode: 0440
    sources:
      {{- range .items }}
      - secret:
          name: {{ index . 0 | quote }}
          {{- with index . 1 }}
          items: [{key: {{ . | quote }}, path: {{ . | quote }}}]
          {{- end }}
      {{- end }}
{{- end }}
{{- end -}}
