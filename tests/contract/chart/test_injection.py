"""No text in a value becomes fields of a manifest: the templates see to it without the schema, and so does the schema."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.settings import SERVICES
from tests.support import chart

HOSTILE = [
    "\n      hostNetwork: true\nhostPID: true",
    '"\nhostNetwork: true\n"',
    "', hostNetwork: true, x: '",
    '"}, {hostNetwork: true}, "',
    " # hostNetwork: true",
    ": {{ fail `x` }} {{ .Values }}",
    "\n---\napiVersion: v1\nkind: Pod",
    " | quote }}: *a !!binary \\",
]
#: Text that a check asks for, by the end of the key; else any.
_GOOD = {
    "hostPath": "/srv/good",
    "mountPath": "/good",
    "endpoint": "https://good",
    "url": "https://good",
    "issuer": "https://good",
    "publicUrl": "https://good",
    "root.existingSecret": "root",
}
#: Names of everything are made from it: a wrong one is refused.
_REFUSED_BY_TEMPLATES = {"fullnameOverride"}
_ON = (
    "ingress",
    "web",
    "serviceMonitor",
    "prometheusRule",
    "dashboards",
    "training.persistence",
    "embedding.autoscaling",
)
BUNDLED = {
    **{f"{part}.enabled": True for part in (*_ON, "kafka", "s3", "qdrant", "embedding.autoscaling.keda")},
    "externalKafka.bootstrap": "",
    "externalS3.endpoint": "",
    "externalQdrant.url": "",
    "data.existingClaim": "",
    "auth.oidc.jwksSecret": "",
}
EXTERNAL = {
    **{f"{part}.enabled": True for part in _ON},
    **{f"{part}.enabled": False for part in ("kafka", "s3", "qdrant")},
    "data.hostPath": "",
    "storage.hostPath": "",
    "retrieval.persistence.existingClaim": "",
    "ingress.annotations": {},
}


def filled(node: dict[str, Any], schema: dict[str, Any], text: str, path: str) -> Any:
    """A value by its schema, in which every free text ends with this one."""
    if "$ref" in node:
        node = schema["definitions"][node["$ref"].rsplit("/", 1)[1]]
    if "properties" in node:
        return {name: filled(inner, schema, text, f"{path}.{name}") for name, inner in node["properties"].items()}
    if path.endswith("secretSettings"):
        return {"good.key": {"name": f"good{text}", "key": f"good{text}"}}
    if path.endswith("extraEgress"):
        return {"oracle": [{"cidrs": [f"good{text}"], "ports": [1]}]}
    if path.endswith(("affinity", "tolerations")):
        return {f"good{text}": f"good{text}"} if path.endswith("affinity") else [{"key": f"good{text}"}]
    match node.get("type"):
        case "array":
            return [filled(node.get("items", {"type": "string"}), schema, text, path)]
        case "object":
            return {f"good{text}": f"good{text}"}
        case "string" if "enum" not in node and path.lstrip(".") not in _REFUSED_BY_TEMPLATES:
            return next((good for end, good in _GOOD.items() if path.endswith(f".{end}")), "good") + text
    return node.get("minimum", 1) if node.get("type") in ("integer", "number") else None


def without_none(value: Any) -> Any:
    """The same without what keeps its default."""
    if isinstance(value, dict):
        return {key: without_none(inner) for key, inner in value.items() if inner is not None}
    return [without_none(inner) for inner in value if inner is not None] if isinstance(value, list) else value


def rendered(text: str, switches: dict[str, Any], folder: Path) -> list[Any]:
    """The manifests of a chart in whose values every free text ends with this one; the schema is not asked."""
    schema = json.loads((chart.CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = without_none(filled(schema, schema, text, ""))
    for key, value in switches.items():
        *sections, name = key.split(".")
        section = values
        for part in sections:
            section = section[part]
        section[name] = value
    for network in _networks(values):
        network["ports"] = [1]
    values["s3"]["existingSecret"] = "user" + text
    (path := folder / "values.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    result = chart.template("--skip-schema-validation", "--values", str(path))
    assert result.returncode == 0, result.stderr
    return [document for document in yaml.safe_load_all(result.stdout) if document]


def _networks(values: Any) -> Iterator[dict[str, Any]]:
    if isinstance(values, dict):
        if "cidrs" in values:
            yield values
        for inner in values.values():
            yield from _networks(inner)


def cleaned(value: Any, text: str) -> Any:
    """A manifest without the text, wherever it stands in a string."""
    if isinstance(value, dict):
        return {cleaned(key, text): cleaned(inner, text) for key, inner in value.items()}
    if isinstance(value, list):
        return [cleaned(inner, text) for inner in value]
    if not isinstance(value, str):
        return value
    forms = (json.dumps(text)[1:-1], text, text.upper())
    for form in forms:
        value = value.replace(form, "")
    return value


@pytest.mark.parametrize("switches", [BUNDLED, EXTERNAL], ids=["bundled", "external"])
@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_stays_a_text(text: str, switches: dict[str, Any], tmp_path: Path) -> None:
    def key(document: dict[str, Any]) -> tuple[str, str]:
        return document["kind"], document["metadata"]["name"]

    plain = sorted(rendered("", switches, tmp_path), key=key)
    hostile = sorted(cleaned(rendered(text, switches, tmp_path), text), key=key)
    assert [key(document) for document in hostile] == [key(document) for document in plain]
    for one, other in zip(plain, hostile, strict=True):
        assert one == other


@pytest.mark.parametrize("text", HOSTILE[:2])
def test_a_name_of_the_release_that_is_none_is_refused(text: str) -> None:
    result = chart.template(
        *chart.values_of(chart.SITE),
        "--skip-schema-validation",
        "--set-json",
        f"fullnameOverride={json.dumps('a' + text)}",
    )
    assert result.returncode != 0
    assert "lower-case letters" in result.stderr


@pytest.mark.parametrize("field", ["priorityClassName", "runtimeClassName", "podLabels.team", "nodeSelector.disk"])
@pytest.mark.parametrize("text", HOSTILE[:2])
def test_the_schema_names_the_value_that_holds_it(field: str, text: str) -> None:
    given = f"oracle.{field}={json.dumps('a' + text)}"
    result = chart.template(*chart.values_of(chart.SITE), "--set-json", given)
    assert result.returncode != 0
    assert f"/oracle/{field.replace('.', '/')}" in result.stderr


RESERVED = ["app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component", "medq.io/training"]


@pytest.mark.parametrize(("service", "label"), list(zip(SERVICES, itertools.cycle(RESERVED), strict=False)))
def test_a_pod_keeps_the_labels_that_policies_know_it_by(service: str, label: str) -> None:
    given = f"{service}.podLabels={json.dumps({label: 'other'})}"
    result = chart.template(*chart.values_of(chart.SITE), "--set-json", given)
    assert result.returncode != 0
    assert f"{service}.podLabels: {label} is a label of the chart's own" in result.stderr


def test_further_labels_and_annotations_reach_the_pod() -> None:
    documents = chart.overlay(
        chart.SITE, "--set", "oracle.podLabels.team=imaging", "--set", "oracle.podAnnotations.note=a: b # c"
    )
    metadata = dict(chart.pods(documents))["medq-oracle"]["metadata"]
    assert metadata["labels"]["team"] == "imaging"
    assert metadata["labels"]["app.kubernetes.io/component"] == "oracle"
    assert metadata["annotations"]["note"] == "a: b # c"


@pytest.mark.parametrize(
    "name",
    [
        "kubernetes.labels",
        "kubernetes.service_account",
        "tls.is_client_certificate_required",
        "auth.tokens_file",
        "listen",
        "database_url",
        "s3.secret_key",
        "s3.endpoint",
    ],
)
def test_a_secret_setting_is_none_that_the_chart_sets(name: str) -> None:
    given = f"training.secretSettings={json.dumps({name: {'name': 'a', 'key': 'b'}})}"
    result = chart.template(*chart.values_of(chart.SITE), "--set-json", given)
    assert result.returncode != 0
    assert f"invalid propertyName '{name}'" in result.stderr
