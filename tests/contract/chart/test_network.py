"""The network policies let through what the services do, and nothing else."""

from __future__ import annotations

import ast
import ipaddress
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from shared.settings import SERVICES
from tests.support import chart

#: Who calls whom; the policies and the code are both held to it.
CALLS = {
    "embedding": set(),
    "retrieval": set(),
    "evaluation": {"embedding", "retrieval", "controller"},
    "oracle": {"controller", "evaluation"},
    "training": {"retrieval"},
    "controller": {"embedding", "retrieval", "evaluation", "oracle", "training"},
}
_STUBS = {f"{name.capitalize()}ServiceStub": name for name in SERVICES}


def policy(documents: tuple[chart.Manifest, ...], component: str) -> dict[str, Any]:
    """The policy of a component."""
    found = chart.find(documents, "NetworkPolicy", f"{chart.RELEASE}-{component}")
    assert found["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == component
    return dict(found["spec"])


def components(rules: list[dict[str, Any]], side: str) -> dict[str, set[int]]:
    """Parts of the release that rules name, with the ports."""
    found: dict[str, set[int]] = {}
    for rule in rules:
        for peer in rule[side]:
            labels = peer.get("podSelector", {}).get("matchLabels", {})
            if "app.kubernetes.io/component" in labels and "namespaceSelector" not in peer:
                ports = {port["port"] for port in rule.get("ports", ())}
                found.setdefault(labels["app.kubernetes.io/component"], set()).update(ports)
    return found


def outside(rules: list[dict[str, Any]]) -> set[tuple[str, int]]:
    """Addresses that egress rules name, with each port."""
    return {
        (peer["ipBlock"]["cidr"], port["port"])
        for rule in rules
        for peer in rule["to"]
        if "ipBlock" in peer
        for port in rule["ports"]
        if port["port"] != 53
    }


def code_calls(service: str) -> set[str]:
    """Services that the code of a service opens a channel to, or makes a stub of."""
    return set(_names(service)) - {service}


def _names(service: str) -> Iterator[str]:
    for path in (chart.ROOT / "services" / service).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and _is_channels(node.value):
                yield str(node.slice.value)
            elif isinstance(node, ast.Attribute | ast.Name):
                name = node.attr if isinstance(node, ast.Attribute) else node.id
                if name in _STUBS:
                    yield _STUBS[name]


def _is_channels(node: ast.expr) -> bool:
    return (node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")) == "channels"


@pytest.mark.parametrize("service", SERVICES)
def test_the_code_makes_the_calls_that_are_listed(service: str) -> None:
    assert code_calls(service) == CALLS[service]


@pytest.mark.parametrize("overlay", chart.OVERLAYS)
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_call_those_that_it_calls_and_be_called_by_its_callers(service: str, overlay: str) -> None:
    documents = chart.overlay(overlay)
    spec = policy(documents, service)
    called = {name: ports for name, ports in components(spec["egress"], "to").items() if name in SERVICES}
    assert called == {name: {50051} for name in CALLS[service]}
    callers = components(spec["ingress"], "from")
    assert callers.pop("test") == {50051, 50052}
    assert callers == {name: {50051} for name in SERVICES if service in CALLS[name]}


@pytest.mark.parametrize("overlay", chart.OVERLAYS)
def test_every_pod_is_denied_by_default_and_has_a_policy_of_its_own(overlay: str) -> None:
    documents = chart.overlay(overlay, "--set", "test.command={python}")
    deny = chart.find(documents, "NetworkPolicy", "medq-default-deny")["spec"]
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert not deny.get("ingress")
    assert not deny.get("egress")
    for name, pod in chart.pods(documents):
        labels = pod["metadata"]["labels"]
        assert deny["podSelector"]["matchLabels"].items() <= labels.items(), name
        own = policy(documents, labels["app.kubernetes.io/component"])
        assert own["podSelector"]["matchLabels"].items() <= labels.items(), name


def test_the_lab_reaches_its_servers_and_nothing_else() -> None:
    documents = chart.overlay("values-lab.yaml")
    kafka, s3, postgresql = (("10.201.0.1/32", port) for port in (29094, 29000, 25432))
    api_server = {("10.201.0.2/32", 443), ("10.201.0.2/32", 6443)}
    wanted = {
        "embedding": {kafka, s3, postgresql},
        "retrieval": {kafka, s3, postgresql},
        "evaluation": {s3, postgresql},
        "oracle": {kafka, s3, postgresql},
        "training": {kafka, s3, postgresql} | api_server,
        "controller": {kafka, s3, postgresql},
        "migrate": {postgresql},
        "training-job": {s3},
        "test": set(),
    }
    assert {name: outside(policy(documents, name)["egress"]) for name in wanted} == wanted


def test_the_pods_of_a_training_job_reach_the_object_store_and_each_other() -> None:
    documents = chart.overlay("values-lab.yaml")
    spec = policy(documents, "training-job")
    assert components(spec["egress"], "to") == {"training-job": set()}  # any port: torchrun chooses
    assert components(spec["ingress"], "from") == {"training-job": set()}
    labels = chart.environment(documents, "training")["MEDQ_TRAINING_KUBERNETES__LABELS"]["value"]
    assert spec["podSelector"]["matchLabels"] == ast.literal_eval(labels)


def test_nothing_leaves_the_hospital() -> None:
    documents = chart.overlay("values-hospital.yaml")
    for found in chart.of_kind(documents, "NetworkPolicy"):
        for rule in found["spec"].get("egress", ()):
            assert rule["to"], found["metadata"]["name"]  # an empty list is everywhere
            for peer in rule["to"]:
                assert peer, found["metadata"]["name"]
                if "ipBlock" in peer:
                    assert ipaddress.ip_network(peer["ipBlock"]["cidr"]).is_private
    reached = set().union(
        *(outside(found["spec"].get("egress", [])) for found in chart.of_kind(documents, "NetworkPolicy"))
    )
    assert reached == {
        ("10.20.1.0/28", 443),
        ("10.20.2.0/28", 5432),
        ("10.20.0.1/32", 6443),
    }  # S3, PostgreSQL, API server


def test_bundled_servers_are_reached_by_those_who_use_them_alone() -> None:
    documents = chart.overlay(chart.SITE, "--set", "qdrant.enabled=true")
    assert set(components(policy(documents, "s3")["ingress"], "from")) == {*SERVICES, "training-job", "s3-user"}
    assert set(components(policy(documents, "qdrant")["ingress"], "from")) == {"retrieval"}
    for name in ("s3", "qdrant"):
        assert not policy(documents, name).get("egress")
    kafka = chart.find(documents, "Kafka", "medq-kafka")["spec"]["kafka"]["listeners"][0]["networkPolicyPeers"]
    users = {
        peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for peer in kafka if "podSelector" in peer
    }
    assert users == set(SERVICES) - {"evaluation"}


def test_an_endpoint_without_a_port_is_reached_by_its_scheme() -> None:
    documents = chart.overlay("values-lab.yaml", "--set", "externalS3.endpoint=https://s3.lab.example")
    assert ("10.201.0.1/32", 443) in outside(policy(documents, "embedding")["egress"])


def test_a_model_server_is_reached_where_values_say_so() -> None:
    extra = "networkPolicy.extraEgress.evaluation[0]"
    documents = chart.overlay(
        "values-lab.yaml", "--set", f"{extra}.cidrs={{10.9.9.9/32}}", "--set", f"{extra}.ports={{8000}}"
    )
    assert ("10.9.9.9/32", 8000) in outside(policy(documents, "evaluation")["egress"])
    assert ("10.9.9.9/32", 8000) not in outside(policy(documents, "oracle")["egress"])


def test_the_endpoints_of_the_site_are_reached_by_those_who_ask_them_alone() -> None:
    documents = chart.overlay(
        "values-lab.yaml",
        *("--set", "endpoints.existingSecret=site-endpoints", "--set", "endpoints.network.cidrs={10.9.9.9/32}"),
    )
    reached = {name: ("10.9.9.9/32", 443) in outside(policy(documents, name)["egress"]) for name in SERVICES}
    assert [name for name, is_reached in reached.items() if is_reached] == ["evaluation", "oracle"]


def test_the_keys_of_endpoints_are_where_they_are_used_alone() -> None:
    documents = chart.overlay(
        "values-lab.yaml",
        *("--set", "endpoints.existingSecret=site-endpoints", "--set", "endpoints.network.cidrs={10.9.9.9/32}"),
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for name, pod in chart.pods(documents):
        for volume in pod["spec"].get("volumes", ()):
            for source in volume.get("projected", {}).get("sources", ()):
                if source.get("secret", {}).get("name") == "site-endpoints":
                    found.setdefault(name, []).append(source["secret"].get("items"))
    file = [{"key": "endpoints.yaml", "path": "endpoints.yaml"}]
    assert {name.rpartition("-")[2]: items for name, items in found.items()} == {
        "controller": [file],
        "evaluation": [None],
        "oracle": [None],
    }


#: What is outside the release, and how it comes to be used.
OUTSIDE = {
    "endpoints.network": ("endpoints.existingSecret=site-endpoints",),
    "externalPostgresql.network": (),
    "externalKafka.network": ("kafka.enabled=false", "externalKafka.bootstrap=kafka:9093"),
    "externalS3.network": ("s3.enabled=false", "externalS3.endpoint=https://s3.example"),
    "externalQdrant.network": ("externalQdrant.url=https://qdrant.example:6334",),
    "telemetry.network": ("telemetry.otlpEndpoint=otel:4317",),
    "auth.oidc.network": ("auth.oidc.issuer=https://sso.example", "tls.existingSecret=medq-tls"),
    "networkPolicy.apiServer": (),
}


@pytest.mark.parametrize("section", OUTSIDE)
def test_an_endpoint_that_no_address_is_known_of_is_refused(section: str) -> None:
    values = [
        *OUTSIDE[section],
        *("externalKafka.username=medq", "externalKafka.existingSecret=kafka"),
        f"{section}.cidrs=null",
    ]
    result = chart.template(*chart.values_of(chart.SITE), *chart.sets(*values))
    assert result.returncode != 0
    assert f"{section}: name cidrs or peers" in result.stderr


def test_whoever_is_refused_for_the_api_servers_address_is_told_how_to_find_it() -> None:
    result = chart.template(*chart.values_of(chart.SITE), "--set", "networkPolicy.apiServer.cidrs=null")
    assert "`kubectl get endpoints kubernetes --namespace default`" in result.stderr


def test_without_training_jobs_nothing_reaches_the_api_server() -> None:
    documents = chart.overlay(
        *(chart.SITE, "--set", "training.kubernetesJobs=false", "--set", "networkPolicy.apiServer.cidrs=null")
    )
    assert {port for _, port in outside(policy(documents, "training")["egress"])} == {5432}


def test_no_address_range_is_let_through_that_nobody_named() -> None:
    values = yaml.safe_load((chart.CHART / "values.yaml").read_text(encoding="utf-8"))
    assert not list(_cidrs(values))
    for overlay in chart.OVERLAYS:
        for found in chart.of_kind(chart.overlay(overlay), "NetworkPolicy"):
            for _, cidr in _cidrs(found):
                assert ipaddress.ip_network(cidr).num_addresses <= 16, found["metadata"]["name"]


def _cidrs(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Each address range in values or in a manifest."""
    if isinstance(node, dict):
        for name, inner in node.items():
            yield from _cidrs(inner, name)
    elif isinstance(node, list):
        for inner in node:
            yield from _cidrs(inner, key)
    elif key in ("cidr", "cidrs"):
        yield key, str(node)


_EVERYBODY = [
    "{}",
    '{"namespaceSelector":{}}',
    '{"podSelector":{}}',
    '{"namespaceSelector":{"matchLabels":{}}}',
    '{"namespaceSelector":{"matchExpressions":[]}}',
    '{"ipBlock":{"cidr":"0.0.0.0/0"}}',
    '{"ipBlock":{"cidr":"::/0"}}',
    "null",
]
_PEERS = ("networkPolicy.metrics", "networkPolicy.dns.peers", "externalPostgresql.network.peers")


@pytest.mark.parametrize(
    ("key", "peer"), [*(("networkPolicy.clients", peer) for peer in _EVERYBODY), *((key, "{}") for key in _PEERS)]
)
def test_a_peer_that_is_everybody_is_refused(key: str, peer: str) -> None:
    result = chart.template(*chart.values_of(chart.SITE), "--set-json", f"{key}=[{peer}]")
    assert result.returncode != 0
    assert f"/{key.replace('.', '/')}/0" in result.stderr


def test_an_empty_list_of_name_servers_is_refused() -> None:
    result = chart.template(*chart.values_of(chart.SITE), "--set-json", "networkPolicy.dns.peers=[]")
    assert "/networkPolicy/dns/peers" in result.stderr  # in a policy it would be everybody, on that port


@pytest.mark.parametrize("overlay", chart.OVERLAYS)
def test_services_are_reached_through_the_cluster_alone(overlay: str) -> None:
    for found in chart.of_kind(chart.overlay(overlay), "Service"):
        assert found["spec"].get("type", "ClusterIP") == "ClusterIP"
        assert not {"externalIPs", "externalName", "loadBalancerIP"} & set(found["spec"])
