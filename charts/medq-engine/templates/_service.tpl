{{/*
A service, whole: account, Service, workload, claim, disruption budget, autoscaler.
(dict "root" $ "name" "embedding" "kind" "Deployment" "data" true "env" "<more variables>"
      "isSingle" false "state" "claim" or "" "token" false "automount" false)
  kind     a StatefulSet where the stable name lets a restarted pod take up its operations at once
  isSingle never two pods at a time
  state    name of the claim mounted at /state; empty: a folder that goes with the pod
  token    the pod talks to the API server
*/}}
{{- define "medq.service" -}}
{{- $ := .root -}}
{{- $own := index $.Values .name -}}
{{- $fullname := printf "%s-%s" (include "medq.fullname" $) .name -}}
{{- $labels := include "medq.labels" (dict "root" $ "component" .name) -}}
{{- $scaling := $own.autoscaling | default (dict "enabled" false) -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $fullname }}
  labels: {{- $labels | nindent 4 }}
automountServiceAccountToken: false
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $fullname }}
  labels: {{- $labels | nindent 4 }}
spec:
  selector: {{- include "medq.selector" (dict "root" $ "component" .name) | nindent 4 }}
  ports:
    - {name: grpc, port: 50051, targetPort: grpc, appProtocol: grpc}
    - {name: grpc-health, port: 50052, targetPort: grpc-health, appProtocol: grpc}
    - {name: metrics, port: 9464, targetPort: metrics}
---
apiVersion: apps/v1
kind: {{ .kind }}
metadata:
  name: {{ $fullname }}
  labels: {{- $labels | nindent 4 }}
spec:
  {{- if not $scaling.enabled }}
  replicas: {{ $own.replicas | default 1 | int64 }}
  {{- end }}
  {{- if eq .kind "StatefulSet" }}
  serviceName: {{ $fullname }}
  podManagementPolicy: Parallel
  {{- else }}
  strategy:
    type: {{ $own.strategy | quote }}
  {{- end }}
  selector:
    matchLabels: {{- include "medq.selector" (dict "root" $ "component" .name) | nindent 6 }}
  template:
    metadata:
      labels: {{- merge ($labels | fromYaml) ($own.podLabels | default dict) | toYaml | nindent 8 }}
      annotations: {{- merge (dict "kubectl.kubernetes.io/default-container" .name) ($own.podAnnotations | default dict) | toYaml | nindent 8 }}
    spec:
      {{- with include "medq.placement" (dict "root" $ "on" $own) | trim }}
      {{- . | nindent 6 }}
      {{- end }}
      serviceAccountName: {{ $fullname }}
      automountServiceAccountToken: {{ .token | default false }}
      enableServiceLinks: false # its variables begin with MEDQ_ where the release is named medq
      {{- with $own.priorityClassName }}
      priorityClassName: {{ . | quote }}
      {{- end }}
      {{- with $own.runtimeClassName }}
      runtimeClassName: {{ . | quote }}
      {{- end }}
      terminationGracePeriodSeconds: {{ int64 $own.terminationGracePeriodSeconds }}
      securityContext: {{- include "medq.podSecurity" $ | nindent 8 }}
      {{- if not .isSingle }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{- include "medq.selector" (dict "root" $ "component" .name) | nindent 14 }}
      {{- end }}
      containers:
        - name: {{ .name }}
          image: {{ include "medq.image" . | quote }}
          imagePullPolicy: {{ include "medq.pullPolicy" . | quote }}
          securityContext: {{- include "medq.containerSecurity" $ | nindent 12 }}
          ports:
            - {name: grpc, containerPort: 50051}
            - {name: grpc-health, containerPort: 50052}
            - {name: metrics, containerPort: 9464}
          env:
            {{- include "medq.env" . | trim | nindent 12 }}
            {{- with .env }}
            {{- . | trim | nindent 12 }}
            {{- end }}
          resources: {{- include "medq.resources" $own | nindent 12 }}
          startupProbe:
            grpc: {port: 50052}
            periodSeconds: 2
            timeoutSeconds: 2
            failureThreshold: {{ div $own.startSeconds 2 }}
          readinessProbe:
            grpc: {port: 50052}
            periodSeconds: 5
            timeoutSeconds: 3
          livenessProbe:
            grpc: {port: 50052}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          volumeMounts:
            - {name: state, mountPath: /state}
            - {name: tmp, mountPath: /tmp}
            {{- if and .data (include "medq.dataClaim" $) }}
            - {name: data, mountPath: {{ $.Values.data.mountPath | quote }}, readOnly: true}
            {{- end }}
            {{- with include "medq.secretMounts" . | trim }}
            {{- . | nindent 12 }}
            {{- end }}
      volumes:
        - name: state
          {{- if .state }}
          persistentVolumeClaim:
            claimName: {{ .state | quote }}
          {{- else }}
          emptyDir:
            sizeLimit: {{ $own.scratch | quote }}
          {{- end }}
        - name: tmp
          emptyDir: {}
        {{- if and .data (include "medq.dataClaim" $) }}
        - name: data
          persistentVolumeClaim:
            claimName: {{ include "medq.dataClaim" $ | quote }}
            readOnly: true
        {{- end }}
        {{- with include "medq.secretVolumes" . | trim }}
        {{- . | nindent 8 }}
        {{- end }}
---
{{ include "medq.disruption" (dict "root" $ "name" .name "labels" $labels) }}
{{- if $scaling.enabled }}
---
{{ include "medq.autoscaler" (dict "root" $ "name" .name "labels" $labels "fullname" $fullname "scaling" $scaling) }}
{{- end }}
{{- end -}}

{{/* Requests and limits, with the GPUs. */}}
{{- define "medq.resources" -}}
{{- $resources := deepCopy .resources -}}
{{- with .gpu -}}
{{- if .count -}}
{{- $limits := set (default (dict) $resources.limits) .resource .count -}}
{{- $_ := set $resources "limits" $limits -}}
{{- end -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{/* One pod of a service goes at a time; a single one may go, or its node could never be drained. */}}
{{- define "medq.disruption" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "medq.fullname" .root }}-{{ .name }}
  labels: {{- .labels | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "medq.selector" (dict "root" .root "component" .name) | nindent 6 }}
{{- end -}}
