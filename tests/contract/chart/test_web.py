"""The pages in the chart: what is refused, who reaches them, whom they reach, and what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.settings import SERVICES, Section
from tests.support import chart
from web.settings import WebSettings

INGRESS = ("ingress.enabled=true", "ingress.domain=medq.example", "ingress.tlsSecret=medq-ingress-tls")
CLIENTS = "networkPolicy.clients[0].namespaceSelector.matchLabels.name=ingress"
ISSUER = ("auth.oidc.issuer=https://sso.example", "auth.oidc.network.cidrs={10.20.4.1/32}", "web.clientId=pages")
TOKENS = ("auth.tokensSecret=medq-callers", "auth.serviceTokenSecret=medq-service")
ON = ("web.enabled=true", "web.sessionSecret=medq-web", "tls.existingSecret=medq-tls", CLIENTS)
#: Both ways to log in.
WAYS = {"issuer": (*ON, *INGRESS, *ISSUER, "web.clientSecret=medq-web"), "tokens": (*ON, *INGRESS, *TOKENS)}


def rendered(*values: str) -> tuple[chart.Manifest, ...]:
    """A site with the pages."""
    return chart.overlay(chart.SITE, *chart.sets(*values))


def refusal(*values: str) -> str:
    """What Helm says of a site with these values; it must refuse."""
    result = chart.template(*chart.values_of(chart.SITE), *chart.sets(*values))
    assert result.returncode != 0
    assert not result.stdout
    return result.stderr


def container(documents: tuple[chart.Manifest, ...]) -> dict[str, Any]:
    """The container of the pages."""
    (found,) = dict(chart.pods(documents))["medq-web"]["spec"]["containers"]
    return dict(found)


def test_there_are_no_pages_unless_a_value_asks_for_them() -> None:
    for overlay in chart.OVERLAYS:
        assert not [d for d in chart.overlay(overlay) if d["metadata"]["name"] == "medq-web"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ((*ON[:3], "web.publicUrl=https://a.b"), "nothing says who they are: set auth.oidc.issuer and web.clientId"),
        ((*ON, *INGRESS, *ISSUER, "web.clientId="), "nobody could log in: set web.clientId"),
        ((*ON, *INGRESS, *TOKENS, "web.clientId=pages"), "web.clientId is the name of the pages at an issuer"),
        ((*ON, *INGRESS, *TOKENS, "web.clientSecret=a"), "web.clientSecret is the secret of web.clientId"),
        ((*WAYS["issuer"], "web.sessionSecret="), "web.enabled needs web.sessionSecret"),
        ((*ON, *TOKENS), "web.enabled needs web.publicUrl"),
        ((*ON, *TOKENS, "web.publicUrl=http://medq.example"), "web.publicUrl must begin with https://"),
        ((*ON, *TOKENS, "tls.existingSecret=", "web.publicUrl=https://a.b"), "set tls.existingSecret"),
        (
            (*WAYS["tokens"], r"web.annotations.haproxy\.org/ssl-redirect=no"),
            "web.annotations: haproxy.org/ssl-redirect",
        ),
        ((*WAYS["tokens"], r"web.podLabels.app\.kubernetes\.io/name=x"), "web.podLabels: app.kubernetes.io/name is a"),
    ],
)
def test_pages_that_are_open_or_of_no_use_are_refused_with_a_sentence(values: tuple[str, ...], sentence: str) -> None:
    assert sentence in refusal(*values)


@pytest.mark.parametrize("way", WAYS)
def test_settings_are_made_from_what_is_rendered(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = chart.environment(rendered(*WAYS[way], "web.settings.login.hours=4"), "web")
    for name, variable in variables.items():
        monkeypatch.setenv(name, variable["value"])
        field, _, inner = name.removeprefix("MEDQ_WEB_").lower().partition("__")
        if name != "HOME":
            model = WebSettings.model_fields[field].annotation
            assert not inner or (issubclass(model, Section) and inner in model.model_fields), name
    settings = WebSettings()
    assert (settings.url, settings.is_https, settings.knows_callers) == ("https://web.medq.example", True, True)
    assert settings.login.key_file == Path("/etc/medq/web/session-key")
    assert settings.login.hours == 4
    assert set(settings.targets) == set(SERVICES)
    assert settings.tls.certificate_file == Path("/etc/medq/tls/tls.crt")
    assert settings.login.client_id == ("pages" if way == "issuer" else "")


@pytest.mark.parametrize("way", WAYS)
def test_pages_hold_no_token_of_the_services_and_no_key_of_a_store(way: str) -> None:
    spec = dict(chart.pods(rendered(*WAYS[way])))["medq-web"]["spec"]
    assert all("valueFrom" not in variable for variable in spec["containers"][0]["env"])
    held = {
        (source["secret"]["name"], item["key"])
        for volume in spec["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
        for item in source["secret"]["items"]
    }
    tls = {("medq-tls", name) for name in ("tls.crt", "tls.key", "ca.crt")}
    own = {("medq-web", "client-secret")} if way == "issuer" else {("medq-callers", "tokens.yaml")}
    assert held == {*tls, *own, ("medq-web", "session-key")}


def test_every_file_that_a_setting_names_is_mounted() -> None:
    documents = rendered(*WAYS["issuer"], *TOKENS, "auth.oidc.jwksSecret=keys", "auth.oidc.caSecret=ca")
    spec = dict(chart.pods(documents))["medq-web"]["spec"]
    mounts = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    files = {
        f"{mounts[volume['name']]}/{item['path']}"
        for volume in spec["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
        for item in source["secret"]["items"]
    }
    named = {v["value"] for name, v in chart.environment(documents, "web").items() if name.endswith("_FILE")}
    assert named == files


def test_a_pod_of_the_pages_is_restricted_and_probed_without_a_login() -> None:
    documents = rendered(*WAYS["issuer"])
    spec, found = dict(chart.pods(documents))["medq-web"]["spec"], container(documents)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
    assert found["securityContext"]["readOnlyRootFilesystem"] is True
    assert found["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert found["resources"]["limits"]["memory"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert found[probe]["httpGet"] == {"path": "/healthz", "port": "http", "scheme": "HTTPS"}


def test_a_pod_that_goes_answers_until_the_ingress_controller_knows_it() -> None:
    assert container(rendered(*WAYS["tokens"]))["lifecycle"] == {"preStop": {"exec": {"command": ["sleep", "5"]}}}


def test_where_a_mesh_encrypts_the_pages_are_probed_by_http() -> None:
    values = ("tls.existingSecret=", "auth.plaintextTokens=true")
    documents = rendered(*WAYS["tokens"], *values)
    assert container(documents)["readinessProbe"]["httpGet"]["scheme"] == "HTTP"
    variables = chart.environment(documents, "web")
    assert variables["MEDQ_WEB_AUTH__IS_PLAINTEXT_TOKEN_ALLOWED"]["value"] == "true"


@pytest.mark.parametrize(
    ("values", "host"),
    [
        ((), "web.medq.example"),
        (("ingress.port=8443",), "web.medq.example"),
        (("web.publicUrl=https://quality.hospital.example",), "quality.hospital.example"),
    ],
)
def test_the_ingress_leads_browsers_to_the_pages_by_tls(values: tuple[str, ...], host: str) -> None:
    documents = rendered(*WAYS["issuer"], *values)
    ingress = chart.find(documents, "Ingress", "medq-web")
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert rule["host"] == host
    assert ingress["spec"]["tls"] == [{"hosts": [host], "secretName": "medq-ingress-tls"}]
    assert (path["path"], path["backend"]["service"]) == ("/", {"name": "medq-web", "port": {"name": "http"}})
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/backend-protocol"] == "HTTPS"
    assert ingress["metadata"]["annotations"]["kubernetes.io/ingress.allow-http"] == "false"
    services = chart.find(documents, "Ingress", "medq-controller")["metadata"]["annotations"]
    assert services["nginx.ingress.kubernetes.io/backend-protocol"] == "GRPCS"
    url = chart.environment(documents, "web")["MEDQ_WEB_PUBLIC_URL"]["value"]
    assert url == f"https://{host}" + (":8443" if "ingress.port=8443" in values else "")


def policy(documents: tuple[chart.Manifest, ...], component: str) -> dict[str, Any]:
    """The policy of a component."""
    return dict(chart.find(documents, "NetworkPolicy", f"medq-{component}")["spec"])


def peers(rules: list[dict[str, Any]], side: str) -> list[tuple[Any, list[int]]]:
    """Each peer, with the ports."""
    return [(peer, [port["port"] for port in rule["ports"]]) for rule in rules for peer in rule[side]]


def test_the_ingress_and_prometheus_reach_the_pages_and_nobody_else() -> None:
    ingress = {"namespaceSelector": {"matchLabels": {"name": "ingress"}}}
    metrics = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    found = peers(policy(rendered(*WAYS["issuer"]), "web")["ingress"], "from")
    assert found == [(ingress, [8080]), (metrics, [9464])]


@pytest.mark.parametrize("service", SERVICES)
def test_the_pages_reach_each_service_by_grpc_alone(service: str) -> None:
    documents = rendered(*WAYS["tokens"])

    def ports(rules: list[dict[str, Any]], side: str, component: str) -> list[list[int]]:
        label = ("app.kubernetes.io/component", component)
        found = peers(rules, side)
        return [n for peer, n in found if label in peer.get("podSelector", {}).get("matchLabels", {}).items()]

    assert ports(policy(documents, "web")["egress"], "to", service) == [[50051]]
    assert ports(policy(documents, service)["ingress"], "from", "web") == [[50051]]


def test_the_pages_reach_the_issuer_where_people_log_in_there_and_nothing_else_outside() -> None:
    def outside(*values: str) -> list[tuple[str, list[int]]]:
        found = peers(policy(rendered(*values), "web")["egress"], "to")
        return [(peer["ipBlock"]["cidr"], ports) for peer, ports in found if "ipBlock" in peer]

    issuer = [("10.20.4.1/32", [443])]
    assert outside(*WAYS["issuer"]) == issuer
    # Services that have its keys as a file need not reach the issuer; the pages exchange codes with it.
    assert outside(*WAYS["issuer"], "auth.oidc.jwksSecret=keys") == issuer
    assert outside(*WAYS["tokens"]) == []


def test_prometheus_looks_at_the_pages_too() -> None:
    documents = rendered(*WAYS["tokens"], "serviceMonitor.enabled=true")
    (expression,) = chart.find(documents, "ServiceMonitor", "medq")["spec"]["selector"]["matchExpressions"]
    assert expression["values"] == [*SERVICES, "web"]


def test_without_policies_the_pages_still_ask_who_comes() -> None:
    assert "set auth.oidc.issuer" in refusal(*ON, "networkPolicy.enabled=false", "web.publicUrl=https://a.b")
