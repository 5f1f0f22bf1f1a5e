{{/* What the services stand on, bundled or outside: addresses, names of Secrets. */}}

{{- define "medq.kafka.cluster" -}}
{{ include "medq.fullname" . }}-kafka
{{- end -}}

{{/* The settings of the section `kafka` as a dict; the password and the authority come from Secrets. */}}
{{- define "medq.kafka" -}}
{{- if .Values.kafka.enabled -}}
{{- $cluster := include "medq.kafka.cluster" . -}}
bootstrap: {{ printf "%s-kafka-bootstrap.%s.svc:9093" $cluster .Release.Namespace }}
securityProtocol: SASL_SSL
saslMechanism: SCRAM-SHA-512
username: {{ include "medq.fullname" . }}
existingSecret: {{ include "medq.fullname" . }}
passwordKey: password
caSecret: {{ $cluster }}-cluster-ca-cert
topicPrefix: ""
partitions: {{ int64 .Values.kafka.partitions }}
replication: {{ int64 .Values.kafka.replicas }}
{{- else -}}
{{- toYaml (omit .Values.externalKafka "network") -}}
{{- end -}}
{{- end -}}

{{- define "medq.s3" -}}
{{- if .Values.s3.enabled -}}
endpoint: {{ printf "http://%s-s3.%s.svc:9000" (include "medq.fullname" .) .Release.Namespace }}
bucket: {{ .Values.s3.bucket | quote }}
prefix: ""
region: us-east-1
existingSecret: {{ .Values.s3.existingSecret | quote }}
accessKeyKey: {{ .Values.s3.accessKeyKey | quote }}
secretKeyKey: {{ .Values.s3.secretKeyKey | quote }}
caSecret: ""
{{- else -}}
{{- toYaml (omit .Values.externalS3 "network") -}}
{{- end -}}
{{- end -}}

{{/* Address of the Qdrant server; empty: the engine in the retrieval process. */}}
{{- define "medq.qdrant" -}}
{{- if .Values.qdrant.enabled -}}
url: {{ printf "http://%s-qdrant.%s.svc:6334" (include "medq.fullname" .) .Release.Namespace }}
existingSecret: {{ .Values.qdrant.existingSecret | quote }}
apiKeyKey: {{ .Values.qdrant.apiKeyKey | quote }}
caSecret: ""
{{- else -}}
{{- toYaml (omit .Values.externalQdrant "network") -}}
{{- end -}}
{{- end -}}

{{/* Service name to gRPC target, as JSON. */}}
{{- define "medq.targets" -}}
{{- $targets := dict -}}
{{- range $name := splitList " " (include "medq.services" .) -}}
{{- $_ := set $targets $name (printf "%s-%s.%s.svc:50051" (include "medq.fullname" $) $name $.Release.Namespace) -}}
{{- end -}}
{{- toJson $targets -}}
{{- end -}}
