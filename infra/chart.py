"""Keep the chart's schema and its table of values with the code, or check that they are.

`python -m infra.chart` writes what each service's `settings` may hold into `charts/medq-engine/values.schema.json`, from its settings
class, and the table of all values into the chart's README; copies alerts and dashboards into the chart. `--check` compares, writes nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from services.controller.settings import ControllerSettings
from services.embedding.settings import EmbeddingSettings
from services.evaluation.settings import EvaluationSettings
from services.oracle.settings import OracleSettings
from services.retrieval.settings import RetrievalSettings
from services.training.settings import TrainingSettings
from shared.settings import ServiceSettings

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "charts" / "medq-engine"
SCHEMA, README = CHART / "values.schema.json", CHART / "README.md"
SETTINGS: Mapping[str, type[ServiceSettings]] = {
    "embedding": EmbeddingSettings,
    "retrieval": RetrievalSettings,
    "evaluation": EvaluationSettings,
    "oracle": OracleSettings,
    "training": TrainingSettings,
    "controller": ControllerSettings,
}
#: What the templates set from values of their own, so that it cannot be set twice.
SET_BY_CHART = frozenset(
    [
        "state_folder",
        "listen",
        "health_listen",
        "metrics_port",
        "targets",
        "log_level",
        "is_reflection_on",
        "owner",
        "otlp_endpoint",
        "tls",
        "auth",
        "kafka.bootstrap",
        "kafka.security_protocol",
        "kafka.sasl_mechanism",
        "kafka.username",
        "kafka.ca_file",
        "kafka.partitions",
        "kafka.replication",
        "s3.endpoint",
        "s3.bucket",
        "s3.prefix",
        "s3.access_key",
        "s3.region",
        "s3.ca_file",
        "index.url",
        "index.ca_file",
        "kubernetes.namespace",
        "kubernetes.kubeconfig",
        "kubernetes.image",
        "kubernetes.image_pull_policy",
        "kubernetes.image_pull_secrets",
        "kubernetes.service_account",
        "kubernetes.labels",
        "kubernetes.env_from_config_maps",
        "kubernetes.env_from_secret_keys",
        "kubernetes.ca_secret",
        "vllm.namespace",
        "vllm.kubeconfig",
    ]
)
_KEPT = (
    "type",
    "enum",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "pattern",
    "minLength",
    "items",
    "description",
)
_MARKS = ("<!-- values: made by python -m infra.chart -->", "<!-- end of values -->")


def schema() -> dict[str, Any]:
    """The chart's schema with what each service's settings are now."""
    content: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    for name, settings in SETTINGS.items():
        content["definitions"][f"{name}Settings"] = {
            "description": f"Settings of the service, as in services/{name}/settings.py. Secrets go into secretSettings.",
            **_section(settings.model_json_schema(), settings.model_json_schema(), ""),
        }
    return content


def _section(model: Mapping[str, Any], root: Mapping[str, Any], path: str) -> dict[str, Any]:
    """A settings class as a schema without what the chart sets itself, and without secrets."""
    properties: dict[str, Any] = {}
    for name, field in model["properties"].items():
        target = field.get("$ref") or next(
            (part["$ref"] for part in field.get("allOf", ()) if "$ref" in part), ""
        )
        if f"{path}{name}" in SET_BY_CHART or field.get("format") == "password":
            continue
        if target:
            section = _section(root["$defs"][target.rsplit("/", 1)[1]], root, f"{path}{name}.")
            properties[name] = {"description": field.get("description", ""), **section}
        else:
            properties[name] = _field(field)
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _field(field: Mapping[str, Any]) -> dict[str, Any]:
    """One setting; a path or null is a path."""
    options = [option for option in field.get("anyOf", ()) if option.get("type") != "null"]
    known = {**(options[0] if options else {}), **field}
    kept = {key: known[key] for key in _KEPT if key in known}
    return {**kept, "default": field["default"]} if field.get("default") is not None else kept


def table(content: Mapping[str, Any]) -> str:
    """The values as Markdown: key, default, meaning."""
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    rows = [
        f"| `{key}` | {default} | {meaning} |"
        for key, default, meaning in _rows(content, content, values, "")
    ]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows])


def _rows(
    node: Mapping[str, Any], root: Mapping[str, Any], values: Any, path: str
) -> Iterator[tuple[str, str, str]]:
    for name, field in node["properties"].items():
        key = f"{path}{name}"
        if "$ref" in field:
            kind = field["$ref"].rsplit("/", 1)[1]
            field = root["definitions"][kind]
        value = (values or {}).get(name) if isinstance(values, Mapping) else None
        if key in _TOLD_ONCE or (
            name in _ALIKE and path.count(".") == 1 and path[:-1] != "embedding" and path[:-1] in SETTINGS
        ):
            continue
        is_open = "properties" in field and not (
            name == "settings" or "network" in name.lower() or name in ("resources", "apiServer")
        )
        if is_open:
            yield f"{key}", "", field["description"]
            yield from _rows(field, root, value, f"{key}.")
        else:
            yield key, _cell(value), field.get("description", "")


#: Alike in all services: told under `embedding`.
_ALIKE = frozenset(
    [
        "image",
        "gpu",
        "scratch",
        "startSeconds",
        "terminationGracePeriodSeconds",
        "nodeSelector",
        "tolerations",
        "affinity",
        "priorityClassName",
        "runtimeClassName",
        "podLabels",
        "podAnnotations",
        "secretSettings",
        "strategy",
    ]
)
_TOLD_ONCE = frozenset(
    f"{part}.{key}"
    for part in ("s3", "qdrant", "migrate", "test")
    for key in ("nodeSelector", "tolerations", "affinity")
)


def _cell(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return "" if value in ("", [], {}, None) else f"`{text.strip(chr(34))}`"


def readme(content: Mapping[str, Any]) -> str:
    """The chart's README with the table of now."""
    head, rest = README.read_text(encoding="utf-8").split(_MARKS[0])
    return f"{head}{_MARKS[0]}\n{table(content)}\n{_MARKS[1]}{rest.split(_MARKS[1])[1]}"


def wanted() -> dict[Path, str]:
    """Each file of the chart that is made here, with its content."""
    content = schema()
    telemetry = ROOT / "infra" / "telemetry"
    files = {telemetry / "alerts.yaml": CHART / "files" / "alerts.yaml"}
    files |= {
        path: CHART / "files" / "dashboards" / path.name for path in telemetry.glob("dashboards/*.json")
    }
    copies = {target: source.read_text(encoding="utf-8") for source, target in files.items()}
    return {
        SCHEMA: json.dumps(content, indent=1, ensure_ascii=False) + "\n",
        README: readme(content),
        **copies,
    }


def main() -> None:
    """Write, or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare with what is committed, write nothing")
    is_check = parser.parse_args().check
    for path, text in wanted().items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if is_check:
            sys.stderr.write(f"{path.relative_to(ROOT)} is not current: run `python -m infra.chart`\n")
            raise SystemExit(1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
