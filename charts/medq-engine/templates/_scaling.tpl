{{/* By CPU, or by the lag of the consumer group where KEDA is there. */}}
{{- define "medq.autoscaler" -}}
{{- $keda := .scaling.keda | default (dict "enabled" false) -}}
{{- if $keda.enabled -}}
{{- $kafka := include "medq.kafka" .root | fromYaml -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ .fullname }}
  labels: {{- .labels | nindent 4 }}
spec:
  scaleTargetRef:
    name: {{ .fullname }}
  minReplicaCount: {{ int64 .scaling.minReplicas }}
  maxReplicaCount: {{ int64 .scaling.maxReplicas }}
  cooldownPeriod: 300
  triggers:
    - type: kafka
      metadata:
        bootstrapServers: {{ $kafka.bootstrap | quote }}
        consumerGroup: {{ printf "%sembedding" $kafka.topicPrefix | quote }}
        topic: {{ printf "%smedq.embedding.image-ingested.v1" $kafka.topicPrefix | quote }}
        lagThreshold: {{ $keda.lagThreshold | quote }}
        {{- if hasPrefix "SASL" $kafka.securityProtocol }}
        sasl: {{ dict "SCRAM-SHA-512" "scram_sha512" "SCRAM-SHA-256" "scram_sha256" "PLAIN" "plaintext" | dig $kafka.saslMechanism "none" }}
        {{- end }}
        {{- if hasSuffix "SSL" $kafka.securityProtocol }}
        tls: enable
        {{- end }}
      {{- if ne $kafka.securityProtocol "PLAINTEXT" }}
      authenticationRef:
        name: {{ .fullname }}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata:
  name: {{ .fullname }}
  labels: {{- .labels | nindent 4 }}
spec:
  {{- if hasPrefix "SASL" $kafka.securityProtocol }}
  env:
    - {parameter: username, name: MEDQ_EMBEDDING_KAFKA__USERNAME, containerName: embedding}
    - {parameter: password, name: MEDQ_EMBEDDING_KAFKA__PASSWORD, containerName: embedding}
  {{- end }}
  {{- with $kafka.caSecret }}
  secretTargetRef:
    - {parameter: ca, name: {{ quote . }}, key: ca.crt}
  {{- end }}
      {{- end }}
{{- else -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ .fullname }}
  labels: {{- .labels | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ .fullname }}
  minReplicas: {{ int64 .scaling.minReplicas }}
  maxReplicas: {{ int64 .scaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ int64 .scaling.targetCpuPercent }}}
  behavior:
    scaleDown:
      stabilizationWindowSeconds: 300
{{- end -}}
{{- end -}}
