{{/* Names, labels, images and the security contexts that every pod has. */}}

{{- define "medq.fullname" -}}
{{- $name := .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "The release's name, or fullnameOverride, is %q: use lower-case letters, digits and '-'." $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- define "medq.services" -}}
embedding retrieval evaluation oracle training controller
{{- end -}}

{{/* (dict "root" $ "component" "embedding"): what selects pods. */}}
{{- define "medq.selector" -}}
app.kubernetes.io/name: medq-engine
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "medq.labels" -}}
{{ include "medq.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: medq
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* (dict "root" $ "image" dict): REGISTRY/REPOSITORY:TAG or @DIGEST. `global.imageRegistry` goes before every other registry. */}}
{{- define "medq.imageName" -}}
{{- $registry := .root.Values.global.imageRegistry | default .image.registry -}}
{{- $name := ternary (printf "%s/%s" $registry .image.repository) .image.repository (not (empty $registry)) -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name .image.tag -}}
{{- end -}}
{{- end -}}

{{/* (dict "root" $ "name" "embedding"): the image of a service. */}}
{{- define "medq.image" -}}
{{- $common := .root.Values.image -}}
{{- $own := (index .root.Values .name).image -}}
{{- $image := dict "registry" ($own.registry | default $common.registry)
      "repository" ($own.repository | default (printf "medq-%s" .name))
      "tag" ($own.tag | default $common.tag | default .root.Chart.AppVersion)
      "digest" $own.digest -}}
{{- include "medq.imageName" (dict "root" .root "image" $image) -}}
{{- end -}}

{{- define "medq.pullPolicy" -}}
{{- (index .root.Values .name).image.pullPolicy | default .root.Values.image.pullPolicy -}}
{{- end -}}

{{/* PodSecurity "restricted", of every pod. */}}
{{- define "medq.podSecurity" -}}
{{- $security := .Values.security -}}
runAsNonRoot: true
{{- with $security.runAsUser }}
runAsUser: {{ int64 . }}
{{- end }}
{{- with $security.runAsGroup }}
runAsGroup: {{ int64 . }}
{{- end }}
{{- with $security.fsGroup }}
fsGroup: {{ int64 . }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "medq.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* (dict "root" $ "on" dict-with-nodeSelector-tolerations-affinity): where a pod runs. */}}
{{- define "medq.placement" -}}
{{- with .on.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .on.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .on.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The claim of the input data; empty where there is none. */}}
{{- define "medq.dataClaim" -}}
{{- if .Values.data.existingClaim -}}
{{ .Values.data.existingClaim }}
{{- else if .Values.data.hostPath -}}
{{ include "medq.fullname" . }}-data
{{- end -}}
{{- end -}}

{{/* (dict "secret" "name" "key" "key"): one value of an existing Secret. */}}
{{- define "medq.fromSecret" -}}
valueFrom:
  secretKeyRef:
    name: {{ .secret | quote }}
    key: {{ .key | quote }}
{{- end -}}
