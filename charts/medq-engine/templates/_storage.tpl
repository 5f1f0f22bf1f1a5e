{{/* Volumes that the chart makes. All of them stay when the release goes. */}}

{{/* (dict "root" $ "name" "retrieval" "size" "10Gi"): a claim that stays when the release goes, and its volume on a node's own disk. */}}
{{- define "medq.claim" -}}
{{- $ := .root -}}
{{- $fullname := printf "%s-%s" (include "medq.fullname" $) .name -}}
{{- $labels := include "medq.labels" (dict "root" $ "component" .name) -}}
{{- if $.Values.storage.hostPath }}
{{- include "medq.localVolume" (dict "root" $ "labels" $labels "claim" $fullname "size" .size "path" (printf "%s/%s" $.Values.storage.hostPath .name) "mode" "ReadWriteOnce") }}
---
{{- end }}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ $fullname }}
  labels: {{- $labels | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep
spec:
  accessModes: [ReadWriteOnce]
  {{- if $.Values.storage.hostPath }}
  storageClassName: ""
  volumeName: {{ $.Release.Namespace }}-{{ $fullname }}
  {{- else if $.Values.storage.storageClass }}
  storageClassName: {{ $.Values.storage.storageClass | quote }}
  {{- end }}
  resources:
    requests:
      storage: {{ .size | quote }}
{{- end -}}

{{/* A folder of the node's disk. Of kind `local`, so that its group is set and PodSecurity "restricted" holds; the folder must be there. */}}
{{- define "medq.localVolume" }}
apiVersion: v1
kind: PersistentVolume
metadata:
  name: {{ .root.Release.Namespace }}-{{ .claim }}
  labels:
    {{- .labels | nindent 4 }}
    medq.io/namespace: {{ .root.Release.Namespace }}
  annotations:
    helm.sh/resource-policy: keep
spec:
  capacity:
    storage: {{ .size | quote }}
  accessModes: [{{ .mode }}]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: ""
  claimRef:
    apiVersion: v1
    kind: PersistentVolumeClaim
    namespace: {{ .root.Release.Namespace }}
    name: {{ .claim }}
  local:
    path: {{ .path | quote }}
  nodeAffinity:
    required:
      nodeSelectorTerms:
        - matchExpressions:
            - {key: kubernetes.io/hostname, operator: {{ ternary "In" "Exists" (not (empty .root.Values.storage.node)) }}{{ with .root.Values.storage.node }}, values: [{{ quote . }}]{{ end }}}
{{ end -}}
