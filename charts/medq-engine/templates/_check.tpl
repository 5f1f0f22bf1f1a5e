{{/* What makes no sense together, or lets in whom nobody named, is said before anything is installed. */}}
{{- define "medq.check" -}}
{{- include "medq.check.callers" . -}}
{{- include "medq.check.ingress" . -}}
{{- include "medq.check.web" . -}}
{{- include "medq.check.paths" . -}}
{{- include "medq.check.labels" . -}}
{{- include "medq.check.parts" . -}}
{{- include "medq.check.plaintext" . -}}
{{- include "medq.check.images" . -}}
{{- end -}}

{{- define "medq.check.parts" -}}
{{- $v := .Values -}}
{{- if and $v.kafka.enabled $v.externalKafka.bootstrap -}}
{{- fail "kafka.enabled and externalKafka.bootstrap are both set: choose one." -}}
{{- else if not (or $v.kafka.enabled $v.externalKafka.bootstrap) -}}
{{- fail "No event bus: set externalKafka.bootstrap to host:port, or kafka.enabled=true where the Strimzi operator is installed." -}}
{{- end -}}
{{- if and $v.externalKafka.bootstrap (hasPrefix "SASL" $v.externalKafka.securityProtocol) (not (and $v.externalKafka.username $v.externalKafka.existingSecret)) -}}
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
{{- if and $v.embedding.autoscaling.enabled $v.embedding.autoscaling.keda.enabled (not (include "medq.kafka" . | fromYaml).bootstrap) -}}
{{- fail "embedding.autoscaling.keda needs an event bus." -}}
{{- end -}}
{{- end -}}

{{/* Whoever else can reach the services must be known, and nobody may listen. */}}
{{- define "medq.check.callers" -}}
{{- $v := .Values -}}
{{- $open := list -}}
{{- if $v.ingress.enabled }}{{ $open = append $open "ingress.enabled=true" }}{{ end -}}
{{- if $v.networkPolicy.clients }}{{ $open = append $open "networkPolicy.clients" }}{{ end -}}
{{- if not $v.networkPolicy.enabled }}{{ $open = append $open "networkPolicy.enabled=false" }}{{ end -}}
{{- $isKnown := or $v.auth.tokensSecret $v.auth.oidc.issuer -}}
{{- if and $v.tls.mutual (not $v.tls.existingSecret) -}}
{{- fail "tls.mutual needs tls.existingSecret, with tls.crt, tls.key and ca.crt." -}}
{{- end -}}
{{- range $open -}}
{{- if not (or $isKnown (and $v.tls.mutual (not $v.ingress.enabled))) -}}
{{- fail (printf "%s lets callers from outside the release reach the services, and nothing says who they are: set auth.oidc.issuer or auth.tokensSecret%s." . (ternary "; certificates (tls.mutual) do not pass an ingress" ", or tls.mutual=true" $v.ingress.enabled)) -}}
{{- end -}}
{{- if not (or $v.tls.existingSecret $v.auth.plaintextTokens) -}}
{{- fail (printf "%s lets callers from outside the release reach the services, unencrypted: set tls.existingSecret, or auth.plaintextTokens=true where a service mesh encrypts." .) -}}
{{- end -}}
{{- end -}}
{{- if and (not $v.networkPolicy.enabled) $v.qdrant.enabled (not $v.qdrant.existingSecret) -}}
{{- fail "networkPolicy.enabled=false lets everybody in the cluster reach the bundled Qdrant: set qdrant.existingSecret, a Secret with an API key." -}}
{{- end -}}
{{- if and (or $isKnown $v.auth.serviceTokenSecret) (not $v.tls.existingSecret) (not $v.auth.plaintextTokens) -}}
{{- fail "auth: tokens would be sent unencrypted: set tls.existingSecret, or auth.plaintextTokens=true where a service mesh encrypts." -}}
{{- end -}}
{{- if and $v.auth.oidc.issuer (not (hasPrefix "https://" $v.auth.oidc.issuer)) -}}
{{- fail "auth.oidc.issuer must begin with https://: its keys say whose tokens are good." -}}
{{- end -}}
{{- end -}}

{{/* Pages know who comes, by https, and every replica opens what another sealed. */}}
{{- define "medq.check.web" -}}
{{- $v := .Values -}}
{{- if $v.web.enabled -}}
{{- $url := include "medq.web.url" . -}}
{{- if not (or $v.auth.tokensSecret $v.auth.oidc.issuer) -}}
{{- fail "web.enabled lets browsers in, and nothing says who they are: set auth.oidc.issuer and web.clientId, or auth.tokensSecret." -}}
{{- else if not (or $v.auth.tokensSecret $v.web.clientId) -}}
{{- fail "web.enabled: nobody could log in: set web.clientId, the name of the pages at auth.oidc.issuer, or auth.tokensSecret." -}}
{{- else if and $v.web.clientId (not $v.auth.oidc.issuer) -}}
{{- fail "web.clientId is the name of the pages at an issuer: set auth.oidc.issuer." -}}
{{- else if and $v.web.clientSecret (not $v.web.clientId) -}}
{{- fail "web.clientSecret is the secret of web.clientId: set that too." -}}
{{- end -}}
{{- if not $v.web.sessionSecret -}}
{{- fail "web.enabled needs web.sessionSecret, a Secret with the key that seals sessions as session-key: without it each replica knows its own logins alone." -}}
{{- end -}}
{{- if not $url -}}
{{- fail "web.enabled needs web.publicUrl, https://..., by which browsers reach the pages, or ingress.enabled=true." -}}
{{- else if not (hasPrefix "https://" $url) -}}
{{- fail "web.publicUrl must begin with https://: cookies and tokens would be sent unencrypted." -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "medq.check.ingress" -}}
{{- $v := .Values.ingress -}}
{{- if $v.enabled -}}
{{- if not $v.domain -}}
{{- fail "ingress.enabled needs ingress.domain: a service is reached at <service>.<domain>." -}}
{{- end -}}
{{- if not $v.tlsSecret -}}
{{- fail (printf "ingress.enabled needs ingress.tlsSecret, a Secret with the certificate of *.%s: without it calls and tokens are sent unencrypted." $v.domain) -}}
{{- end -}}
{{- range $where, $annotations := dict "ingress.annotations" $v.annotations "web.annotations" $.Values.web.annotations -}}
{{- range $key, $value := $annotations -}}
{{- $isOff := and (has (lower $value) (list "false" "off" "no" "0")) (regexMatch "ssl-redirect$|redirect-to-https$|router\\.tls$|proxy-ssl-verify$" $key) -}}
{{- $isPlain := or (and (hasSuffix "allow-http" $key) (ne (lower $value) "false")) (and (hasSuffix "listen-ports" $key) (contains "\"HTTP\"" $value)) (and (hasSuffix "entrypoints" $key) (has "web" (splitList "," (nospace $value)))) -}}
{{- if or $isOff $isPlain -}}
{{- fail (printf "%s: %s=%q lets calls and tokens be sent unencrypted: leave it out." $where $key $value) -}}
{{- end -}}
{{- if hasSuffix "-snippet" $key -}}
{{- fail (printf "%s: %s writes into the ingress controller's own configuration: leave it out." $where $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Images, questions and answers go to servers outside the release encrypted, unless a value says otherwise by name. */}}
{{- define "medq.check.plaintext" -}}
{{- $v := .Values -}}
{{- $kafka := $v.externalKafka -}}
{{- if and $kafka.bootstrap (hasSuffix "PLAINTEXT" $kafka.securityProtocol) (not $kafka.plaintext) -}}
{{- fail (printf "externalKafka.securityProtocol %s sends events unencrypted: set it to SASL_SSL or SSL, or externalKafka.plaintext=true on a network that nobody else is on." $kafka.securityProtocol) -}}
{{- end -}}
{{- if and (hasPrefix "http://" $v.externalS3.endpoint) (not $v.externalS3.plaintext) -}}
{{- fail "externalS3.endpoint begins with http://, so images are sent unencrypted: use https://, or set externalS3.plaintext=true on a network that nobody else is on." -}}
{{- end -}}
{{- if and (hasPrefix "http://" $v.externalQdrant.url) (not $v.externalQdrant.plaintext) -}}
{{- fail "externalQdrant.url begins with http://, so its key is sent unencrypted: use https://, or set externalQdrant.plaintext=true on a network that nobody else is on." -}}
{{- end -}}
{{- end -}}

{{/* A bundled server is the one that somebody looked at: by digest. */}}
{{- define "medq.check.images" -}}
{{- $s3 := .Values.s3 -}}
{{- if $s3.enabled -}}
{{- if not (and $s3.image.repository $s3.image.digest) -}}
{{- fail "s3.enabled needs s3.image.repository and s3.image.digest: MinIO publishes no images any more, and its last one has known holes. Name the image of a maintained build by its digest, or set externalS3.endpoint (docs/deployment.md)." -}}
{{- end -}}
{{- if eq $s3.existingSecret $s3.root.existingSecret -}}
{{- fail "s3.existingSecret and s3.root.existingSecret are the same Secret: give the services' user keys of its own." -}}
{{- end -}}
{{- end -}}
{{- if and .Values.qdrant.enabled (not .Values.qdrant.image.digest) -}}
{{- fail (printf "qdrant.enabled needs qdrant.image.digest: `skopeo inspect docker://%s/%s:%s` tells it." .Values.qdrant.image.registry .Values.qdrant.image.repository .Values.qdrant.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Folders of a node's disk that hold the node itself are never mounted, nor are volumes over what a pod runs. */}}
{{- define "medq.check.paths" -}}
{{- $system := "^/(bin|boot|dev|etc|lib|lib32|lib64|proc|run|sbin|sys|usr|var/(run|log|lib/(kubelet|etcd|docker|containerd|containers|cni)))(/|$)" -}}
{{- range $key, $path := dict "data.hostPath" .Values.data.hostPath "storage.hostPath" .Values.storage.hostPath -}}
{{- if and $path (or (regexMatch $system (clean $path)) (has (clean $path) (list "/" "/home" "/root" "/var" "/var/lib"))) -}}
{{- fail (printf "%s: %s is a folder of the node itself: name one of its own, such as /srv/medq." $key $path) -}}
{{- end -}}
{{- end -}}
{{- if regexMatch "^/$|^/(app|opt|state|tmp|bin|boot|dev|etc|lib|lib64|proc|run|sbin|sys|usr|var)(/|$)" (clean .Values.data.mountPath) -}}
{{- fail (printf "data.mountPath: %s would hide files that the services need: name another, such as /data." .Values.data.mountPath) -}}
{{- end -}}
{{- end -}}

{{/* The network policies know pods by these. */}}
{{- define "medq.check.labels" -}}
{{- range $name := append (splitList " " (include "medq.services" .)) "web" -}}
{{- range $key, $_ := (index $.Values $name).podLabels -}}
{{- if regexMatch "^(app\\.kubernetes\\.io|helm\\.sh|medq\\.io|strimzi\\.io)/" $key -}}
{{- fail (printf "%s.podLabels: %s is a label of the chart's own, which network policies know pods by: use another." $name $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
