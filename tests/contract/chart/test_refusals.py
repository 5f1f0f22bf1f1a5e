"""What would let in whom nobody named, or send in the open what is private, is refused before anything is installed."""

from __future__ import annotations

import json

import pytest

from shared.settings import SERVICES
from tests.support import chart

CALLERS = ("auth.tokensSecret=medq-callers",)
TLS = ("tls.existingSecret=medq-tls",)
INGRESS = ("ingress.enabled=true", "ingress.domain=medq.example", "ingress.tlsSecret=medq-ingress-tls")
#: Each way by which callers from outside the release come to the services.
WAYS = {
    "ingress.enabled=true": INGRESS,
    "networkPolicy.clients": ("networkPolicy.clients[0].podSelector.matchLabels.app=console",),
    "networkPolicy.enabled=false": ("networkPolicy.enabled=false",),
}


def refusal(*values: str, more: tuple[str, ...] = ()) -> str:
    """What Helm says of a site with these values; it must refuse."""
    result = chart.template(*chart.values_of(chart.SITE), *chart.sets(*values), *more)
    assert result.returncode != 0
    assert not result.stdout
    return result.stderr


@pytest.mark.parametrize("way", WAYS)
def test_callers_from_outside_are_not_let_in_unless_they_are_asked_who_they_are(way: str) -> None:
    told = refusal(*WAYS[way], *TLS)
    assert way in told
    assert "set auth.oidc.issuer or auth.tokensSecret" in told


@pytest.mark.parametrize("way", WAYS)
def test_callers_from_outside_are_not_let_in_unencrypted(way: str) -> None:
    told = refusal(*WAYS[way], *CALLERS)
    assert way in told
    assert "set tls.existingSecret" in told


@pytest.mark.parametrize("way", WAYS)
def test_callers_that_are_known_come_in_by_tls(way: str) -> None:
    assert chart.overlay(chart.SITE, *chart.sets(*WAYS[way], *TLS, *CALLERS))


def test_an_ingress_with_nothing_else_set_is_refused_whatever_the_site_says() -> None:
    result = chart.template("--set", "ingress.enabled=true")
    assert result.returncode != 0
    assert "auth.oidc.issuer or auth.tokensSecret" in result.stderr


def test_an_ingress_without_a_certificate_is_refused() -> None:
    told = refusal(*INGRESS, *TLS, *CALLERS, "ingress.tlsSecret=")
    assert "ingress.enabled needs ingress.tlsSecret" in told


def test_certificates_of_callers_do_not_stand_for_tokens_behind_an_ingress() -> None:
    assert "do not pass an ingress" in refusal(*INGRESS, *TLS, "tls.mutual=true")
    assert chart.overlay(chart.SITE, *chart.sets(*WAYS["networkPolicy.clients"], *TLS, "tls.mutual=true"))


@pytest.mark.parametrize("overlay", chart.OVERLAYS)
def test_every_ingress_speaks_tls_on_both_sides(overlay: str) -> None:
    documents = chart.overlay(overlay, *chart.sets(*INGRESS, *TLS, *CALLERS))
    found = chart.of_kind(documents, "Ingress")
    assert len(found) == len(SERVICES)
    for document in found:
        annotations, spec = document["metadata"]["annotations"], document["spec"]
        assert [rule["host"] for rule in spec["rules"]] == spec["tls"][0]["hosts"]
        assert annotations["nginx.ingress.kubernetes.io/backend-protocol"] == "GRPCS"
        assert annotations["nginx.ingress.kubernetes.io/proxy-body-size"] == "5m"
        assert annotations["kubernetes.io/ingress.allow-http"] == "false"


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        ("nginx.ingress.kubernetes.io/ssl-redirect", "false"),
        ("nginx.ingress.kubernetes.io/force-ssl-redirect", "False"),
        ("haproxy.org/ssl-redirect", "no"),
        ("traefik.ingress.kubernetes.io/router.tls", "false"),
        ("traefik.ingress.kubernetes.io/router.entrypoints", "websecure, web"),
        ("kubernetes.io/ingress.allow-http", "true"),
        ("alb.ingress.kubernetes.io/listen-ports", '[{"HTTP": 80}, {"HTTPS": 443}]'),
        ("nginx.ingress.kubernetes.io/server-snippet", "listen 80;"),
        ("nginx.ingress.kubernetes.io/configuration-snippet", "proxy_pass http://elsewhere;"),
    ],
)
def test_an_annotation_that_turns_tls_off_is_refused_by_name(annotation: str, value: str) -> None:
    given = ("--set-json", f"ingress.annotations={json.dumps({annotation: value})}")
    assert f"ingress.annotations: {annotation}" in refusal(*INGRESS, *TLS, *CALLERS, more=given)


@pytest.mark.parametrize(
    "callers", ["auth.tokensSecret=a", "auth.serviceTokenSecret=a", "auth.oidc.issuer=https://sso.example"]
)
def test_tokens_are_not_sent_unencrypted_unless_a_mesh_encrypts(callers: str) -> None:
    network = "auth.oidc.network.cidrs={10.20.4.1/32}"
    assert "set tls.existingSecret, or auth.plaintextTokens=true" in refusal(callers, network)
    assert chart.overlay(chart.SITE, *chart.sets(callers, network, "auth.plaintextTokens=true"))


@pytest.mark.parametrize("issuer", ["http://sso.example", "sso.example", "https://user@sso.example"])
def test_an_issuer_is_reached_by_https(issuer: str) -> None:
    assert "/auth/oidc/issuer" in refusal(f"auth.oidc.issuer={issuer}", *TLS)


KAFKA = ("kafka.enabled=false", "externalKafka.bootstrap=kafka:9092", "externalKafka.network.cidrs={10.20.5.1/32}")
PLAIN = {
    "externalKafka": (*KAFKA, "externalKafka.securityProtocol=PLAINTEXT"),
    "externalS3": ("s3.enabled=false", "externalS3.endpoint=http://s3:9000", "externalS3.network.cidrs={10.20.1.1/32}"),
    "externalQdrant": ("externalQdrant.url=http://qdrant:6334", "externalQdrant.network.cidrs={10.20.6.1/32}"),
}


@pytest.mark.parametrize("server", PLAIN)
def test_a_server_outside_is_spoken_to_unencrypted_only_where_a_value_says_so(server: str) -> None:
    assert f"{server}.plaintext=true" in refusal(*PLAIN[server])
    assert chart.overlay(chart.SITE, *chart.sets(*PLAIN[server], f"{server}.plaintext=true"))


def test_a_password_for_kafka_is_not_sent_unencrypted() -> None:
    login = ("externalKafka.username=medq", "externalKafka.existingSecret=kafka")
    told = refusal(*KAFKA, *login, "externalKafka.securityProtocol=SASL_PLAINTEXT")
    assert "externalKafka.plaintext=true" in told


def test_without_policies_the_bundled_index_asks_for_a_key() -> None:
    told = refusal("networkPolicy.enabled=false", *TLS, *CALLERS, "qdrant.enabled=true")
    assert "set qdrant.existingSecret" in told


@pytest.mark.parametrize("value", ["s3.image.digest=", "s3.image.repository="])
def test_a_bundled_object_store_is_an_image_that_somebody_chose_by_digest(value: str) -> None:
    assert "s3.enabled needs s3.image.repository and s3.image.digest" in refusal(value)


def test_a_bundled_index_is_an_image_by_digest() -> None:
    assert "qdrant.enabled needs qdrant.image.digest" in refusal("qdrant.enabled=true", "qdrant.image.digest=")
    documents = chart.overlay(chart.SITE, "--set", "qdrant.enabled=true")
    for name in ("medq-qdrant", "medq-s3"):
        assert "@sha256:" in dict(chart.pods(documents))[name]["spec"]["containers"][0]["image"]


def test_no_object_store_is_bundled_by_default() -> None:
    assert "No object store: set externalS3.endpoint" in refusal("s3.enabled=null")


_OF_THE_NODE = ["/", "/etc", "/etc/medq", "/srv/../etc", "//etc//", "/proc/1/root", "/var/lib/kubelet", "/root"]


@pytest.mark.parametrize(
    ("key", "path"), [*(("data.hostPath", path) for path in _OF_THE_NODE), ("storage.hostPath", "/var/lib/etcd")]
)
def test_folders_of_the_node_itself_are_not_mounted(key: str, path: str) -> None:
    assert f"{key}: {path} is a folder of the node itself" in refusal(f"{key}={path}")


@pytest.mark.parametrize("path", ["/", "/etc/medq", "/app", "/state", "/data/../tmp", "/opt/venv"])
def test_input_data_hides_nothing_that_a_pod_runs(path: str) -> None:
    assert "data.mountPath" in refusal(f"data.mountPath={path}")


@pytest.mark.parametrize(
    "key",
    [
        "externalPostgresql.existingSecret",
        "externalPostgresql.urlKey",
        "externalS3.existingSecret",
        "s3.existingSecret",
        "s3.root.existingSecret",
        "s3.root.secretKeyKey",
        "embedding.hashKey.existingSecret",
        "embedding.hashKey.key",
    ],
)
def test_a_secret_that_is_needed_has_a_name(key: str) -> None:
    assert f"/{key.replace('.', '/')}" in refusal(f"{key}=")


@pytest.mark.parametrize("key", ["runAsUser", "runAsGroup", "fsGroup"])
def test_nothing_runs_as_root(key: str) -> None:
    assert f"/security/{key}" in refusal(f"security.{key}=0")
