{{/*
Who may speak with whom; nothing else can. tests/contract/chart holds the calls equal to those in the code.
  calls    of other services' gRPC
  uses     what a component stands on: kafka, s3, postgresql, qdrant, telemetry, oidc (its keys), issuer (logins), kubernetes,
           endpoints, itself
*/}}
{{- define "medq.edges" -}}
embedding:    {calls: [], uses: [kafka, s3, postgresql, telemetry, oidc]}
retrieval:    {calls: [], uses: [kafka, s3, postgresql, qdrant, telemetry, oidc]}
evaluation:   {calls: [embedding, retrieval, controller], uses: [s3, postgresql, telemetry, oidc, endpoints{{ if (.Values.evaluation.settings.vllm | default dict).deployment }}, kubernetes{{ end }}]}
oracle:       {calls: [controller, evaluation], uses: [kafka, s3, postgresql, telemetry, oidc, endpoints]}
training:     {calls: [retrieval], uses: [kafka, s3, postgresql, telemetry, oidc{{ if .Values.training.kubernetesJobs }}, kubernetes{{ end }}]}
controller:   {calls: [embedding, retrieval, evaluation, oracle, training], uses: [kafka, s3, postgresql, telemetry, oidc]}
migrate:      {calls: [], uses: [postgresql]}
test:         {calls: [embedding, retrieval, evaluation, oracle, training, controller], uses: []}
{{- if .Values.web.enabled }}
web:          {calls: [embedding, retrieval, evaluation, oracle, training, controller], uses: [{{ ternary "issuer" "oidc" (not (empty .Values.web.clientId)) }}]}
{{- end }}
{{- if .Values.training.kubernetesJobs }}
training-job: {calls: [], uses: [s3, itself]}
{{- end }}
{{- if .Values.s3.enabled }}
s3:           {calls: [], uses: []}
s3-user:      {calls: [], uses: [s3]}
{{- end }}
{{- if .Values.qdrant.enabled }}
qdrant:       {calls: [], uses: []}
{{- end }}
{{- end -}}

{{/* (dict "network" {cidrs, peers, ports} "address" "host:port,..."): an egress rule; the ports are the address's own where none is named. */}}
{{- define "medq.outside" -}}
{{- $ports := .network.ports -}}
{{- if not $ports -}}
{{- range splitList "," .address -}}
{{- $port := regexFind ":[0-9]+(/|$)" . | trimPrefix ":" | trimSuffix "/" -}}
{{- $ports = append $ports (int ($port | default (ternary 80 443 (hasPrefix "http://" .)))) | uniq -}}
{{- end -}}
{{- end -}}
- to:
    {{- range .network.cidrs }}
    - ipBlock: {cidr: {{ quote . }}}
    {{- end }}
    {{- with .network.peers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- if not (or .network.cidrs .network.peers) }}
    {{- fail (printf "%s: name cidrs or peers of %s; nothing else is let through.%s" .value .address (.hint | default "")) }}
    {{- end }}
  ports:
    {{- range $ports }}
    - {protocol: TCP, port: {{ int64 . }}}
    {{- end }}
{{- end -}}

{{/* (dict "root" $ "component" "s3" "port" 9000): an egress rule to a part of this release. */}}
{{- define "medq.inside" -}}
- to:
    - podSelector:
        matchLabels: {{- include "medq.selector" . | nindent 10 }}
  ports:
    {{- range .ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end -}}

{{/* (dict "root" $ "use" "kafka" "component" "embedding"): the egress rule of one thing that a component stands on; empty where it is not there. */}}
{{- define "medq.use" -}}
{{- $v := .root.Values -}}
{{- if eq .use "kafka" -}}
  {{- if $v.kafka.enabled -}}
- to:
    - podSelector:
        matchLabels: {strimzi.io/cluster: {{ include "medq.kafka.cluster" .root }}, strimzi.io/kind: Kafka}
  ports:
    - {protocol: TCP, port: 9093}
  {{- else -}}
  {{- include "medq.outside" (dict "network" $v.externalKafka.network "address" $v.externalKafka.bootstrap "value" "externalKafka.network") -}}
  {{- end -}}
{{- else if eq .use "s3" -}}
  {{- if $v.s3.enabled -}}
  {{- include "medq.inside" (dict "root" .root "component" "s3" "ports" (list 9000)) -}}
  {{- else -}}
  {{- include "medq.outside" (dict "network" $v.externalS3.network "address" $v.externalS3.endpoint "value" "externalS3.network") -}}
  {{- end -}}
{{- else if eq .use "postgresql" -}}
  {{- include "medq.outside" (dict "network" $v.externalPostgresql.network "address" "PostgreSQL" "value" "externalPostgresql.network") -}}
{{- else if eq .use "qdrant" -}}
  {{- if $v.qdrant.enabled -}}
  {{- include "medq.inside" (dict "root" .root "component" "qdrant" "ports" (list 6333 6334)) -}}
  {{- else if $v.externalQdrant.url -}}
  {{- include "medq.outside" (dict "network" $v.externalQdrant.network "address" $v.externalQdrant.url "value" "externalQdrant.network") -}}
  {{- end -}}
{{- else if and (eq .use "telemetry") $v.telemetry.otlpEndpoint -}}
  {{- include "medq.outside" (dict "network" $v.telemetry.network "address" $v.telemetry.otlpEndpoint "value" "telemetry.network") -}}
{{- else if and $v.auth.oidc.issuer (or (eq .use "issuer") (and (eq .use "oidc") (not $v.auth.oidc.jwksSecret))) -}}
  {{- include "medq.outside" (dict "network" $v.auth.oidc.network "address" $v.auth.oidc.issuer "value" "auth.oidc.network") -}}
{{- else if and (eq .use "endpoints") $v.endpoints.existingSecret -}}
  {{- include "medq.outside" (dict "network" $v.endpoints.network "address" "the endpoints of the site" "value" "endpoints.network") -}}
{{- else if eq .use "kubernetes" -}}
  {{- include "medq.outside" (dict "network" $v.networkPolicy.apiServer "address" "the API server" "value" "networkPolicy.apiServer"
      "hint" " `kubectl get endpoints kubernetes --namespace default` tells its address.") -}}
{{- else if eq .use "itself" -}}
- to:
    - podSelector:
        matchLabels: {{- include "medq.selector" . | nindent 10 }}
{{- end -}}
{{- end -}}

{{/* (dict "root" $ "component" "embedding" "edge" dict "edges" dict): who may come in. */}}
{{- define "medq.ingressRules" -}}
{{- $component := .component -}}
{{- $edge := .edge -}}
{{- $edges := .edges -}}
{{- $ := .root -}}
{{- $ingress := list }}
{{- range $caller, $of := $edges }}
  {{- if has $component $of.calls }}
    {{- $ports := ternary "50051, 50052" "50051" (eq $caller "test") }}
    {{- $ingress = append $ingress (dict "component" $caller "ports" (splitList ", " $ports)) }}
  {{- end }}
  {{- if and (eq $component "s3") (has "s3" $of.uses) }}{{ $ingress = append $ingress (dict "component" $caller "ports" (list "9000")) }}{{ end }}
  {{- if and (eq $component "qdrant") (has "qdrant" $of.uses) }}{{ $ingress = append $ingress (dict "component" $caller "ports" (list "6333" "6334")) }}{{ end }}
{{- end }}
{{- range $ingress }}
- from:
    - podSelector:
        matchLabels: {{- include "medq.selector" (dict "root" $ "component" .component) | nindent 10 }}
  ports:
    {{- range .ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}
{{- if has "itself" $edge.uses }}
- from:
    - podSelector:
        matchLabels: {{- include "medq.selector" (dict "root" $ "component" $component) | nindent 10 }}
{{- end }}
{{- if has $component (append (splitList " " (include "medq.services" $)) "web") }}
{{- with $.Values.networkPolicy.clients }}
- from: {{- toYaml . | nindent 4 }}
  ports:
    - {protocol: TCP, port: {{ ternary 8080 50051 (eq $component "web") }}}
{{- end }}
{{- with $.Values.networkPolicy.metrics }}
- from: {{- toYaml . | nindent 4 }}
  ports:
    - {protocol: TCP, port: 9464}
{{- end }}
{{- end }}
{{- end -}}

{{/* And where it may go. */}}
{{- define "medq.egressRules" -}}
{{- $component := .component -}}
{{- $edge := .edge -}}
{{- $ := .root -}}
{{- range $callee := $edge.calls }}
{{- $ports := ternary (list 50051 50052) (list 50051) (eq $component "test") }}
{{- include "medq.inside" (dict "root" $ "component" $callee "ports" $ports) | nindent 0 }}
{{- end }}
{{- range $edge.uses }}
{{- with include "medq.use" (dict "root" $ "use" . "component" $component) | trim }}
{{- . | nindent 0 }}
{{- end }}
{{- end }}
{{- range (index $.Values.networkPolicy.extraEgress $component) }}
{{- include "medq.outside" (dict "network" . "address" "an extra egress" "value" (printf "networkPolicy.extraEgress.%s" $component)) | nindent 0 }}
{{- end }}
{{- if or $edge.calls $edge.uses }}
- to: {{- toYaml $.Values.networkPolicy.dns.peers | nindent 4 }}
  ports:
    - {protocol: UDP, port: {{ int64 $.Values.networkPolicy.dns.port }}}
    - {protocol: TCP, port: {{ int64 $.Values.networkPolicy.dns.port }}}
{{- end }}
{{- end -}}
