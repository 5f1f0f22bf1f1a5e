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
partitions: {{ .Values.kafka.partitions }}
replication: {{ .Values.kafka.replicas }}
{{- else -}}
{{- toYaml (omit .Values.externalKafka "network") -}}
{{- end -}}
{{- end -}}

{{- define "medq.s3" -}}
{{- if .Values.s3.enabled -}}
endpoint: {{ printf "http://%s-s3.%s.svc:9000" (include "medq.fullname" .) .Release.Namespace }}
bucket: {{ .Values.s3.bucket }}
prefix: ""
region: us-east-1
existingSecret: {{ .Values.s3.existingSecret }}
accessKeyKey: {{ .Values.s3.accessKeyKey }}
secretKeyKey: {{ .Values.s3.secretKeyKey }}
caSecret: ""
{{- else -}}
{{- toYaml (omit .Values.externalS3 "network") -}}
{{- end -}}
{{- end -}}

{{/* Address of the Qdrant server; empty: the engine in the retrieval process. */}}
{{- define "medq.qdrant" -}}
{{- if .Values.qdrant.enabled -}}
url: {{ printf "http://%s-qdrant.%s.svc:6334" (include "medq.fullname" .) .Release.Namespace }}
existingSecret: {{ .Values.qdrant.existingSecret }}
apiKeyKey: {{ .Values.qdrant.apiKeyKey }}
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

{{/* What makes no sense together is said before anything is installed. */}}
{{- define "medq.check" -}}
{{- $v := .Values -}}
{{- if and $v.kafka.enabled $v.externalKafka.bootstrap -}}
{{- fail "kafka.enabled and externalKafka.bootstrap are both set: choose one." -}}
{{- else if not (or $v.kafka.enabled $v.externalKafka.bootstrap) -}}
{{- fail "No event bus: set externalKafka.bootstrap to host:port, or kafka.enabled=true where the Strimzi operator is installed." -}}
{{- end -}}
{{- if and (hasPrefix "SASL" $v.externalKafka.securityProtocol) (not (and $v.externalKafka.username $v.externalKafka.existingSecret)) -}}
{{- fail "externalKafka.securityProtocol SASL_... needs externalKafka.username and externalKafka.existingSecret." -}}
{{- end -}}
{{- if and $v.s3.enabled $v.externalS3.endpoint -}}
{{- fail "s3.enabled and externalS3.endpoint are both set: choose one." -}}
{{- else if not (or $v.s3.enabled $v.externalS3.endpoint) -}}
{{- fail "No object store: set externalS3.endpoint to http(s)://host:port, or s3.enabled=true." -}}
{{- end -}}
{{- if and $v.qdrant.enabled $v.externalQdrant.url -}}
{{- fail "qdrant.enabled and externalQdrant.url are both set: choose one." -}}
{{- end -}}
{{- if and (not (include "medq.qdrant" . | fromYaml).url) (ne (int $v.retrieval.replicas) 1) -}}
{{- fail "retrieval.replicas: the index in the retrieval process has one owner. Leave 1, or set externalQdrant.url or qdrant.enabled=true." -}}
{{- end -}}
{{- if and $v.data.existingClaim $v.data.hostPath -}}
{{- fail "data.existingClaim and data.hostPath are both set: choose one." -}}
{{- end -}}
{{- if and $v.tls.mutual (not $v.tls.existingSecret) -}}
{{- fail "tls.mutual needs tls.existingSecret, with tls.crt, tls.key and ca.crt." -}}
{{- end -}}
{{- if and $v.ingress.enabled (not $v.ingress.domain) -}}
{{- fail "ingress.enabled needs ingress.domain: a service is reached at <service>.<domain>." -}}
{{- end -}}
{{- if and $v.embedding.autoscaling.enabled $v.embedding.autoscaling.keda.enabled (not (include "medq.kafka" . | fromYaml).bootstrap) -}}
{{- fail "embedding.autoscaling.keda needs an event bus." -}}
{{- end -}}
{{- end -}}
