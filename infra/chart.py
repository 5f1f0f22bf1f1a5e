"""Keep what the chart says of the code with the code, or check that it is.

`python -m infra.chart` writes into `charts/medq-engine`: what each service's `settings` may hold, from its settings class, into
values.schema.json; the table of all values into README.md. `--check` compares and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from services.registry import REGISTRY
from web.settings import WebSettings

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "charts" / "medq-engine"
SCHEMA, README = CHART / "values.schema.json", CHART / "README.md"
#: What the templates set from values of their own, so that it cannot be set twice; by section, "" being none.
SET_BY_CHART: Mapping[str, frozenset[str]] = {
    section: frozenset(fields.split())
    for section, fields in {
        "": "state_folder listen health_listen metrics_port targets log_level is_reflection_on owner otlp_endpoint tls hash_key"
        " evaluation_replicas public_targets input_roots endpoints public_url",
        "kafka": "bootstrap security_protocol sasl_mechanism username ca_file topic_prefix partitions replication",
        "s3": "endpoint bucket prefix access_key region ca_file",
        "auth": "tokens_file oidc_issuer jwks_file issuer_ca_file oidc_audience roles_claim token_file"
        " is_plaintext_token_allowed",
        "index": "url ca_file",
        "login": "client_id client_secret_file key_file",
        "kubernetes": "namespace kubeconfig image image_pull_policy image_pull_secrets labels service_account"
        " env_from_config_maps env_from_secret_keys ca_secret",
        "vllm": "namespace kubeconfig",
    }.items()
}
#: Secrets that the templates set from values of their own.
_SECRETS_SET_BY_CHART = frozenset({"database_url", "hash_key", "kafka.password", "s3.secret_key", "index.api_key"})
_KEPT = ["type", "enum", "minimum", "maximum", "exclusiveMinimum", "pattern", "minLength", "items", "description"]
_MARKS = ("<!-- values: made by python -m infra.chart -->", "<!-- end of values -->")


def schema() -> dict[str, Any]:
    """The chart's schema with what each service's settings are now."""
    content: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    for name, entry in REGISTRY.items():
        model = entry.settings.model_json_schema()
        content["definitions"][f"{name}Settings"] = {
            "description": f"Settings of the service, as in services/{name}/settings.py. Secrets go into secretSettings.",
            **_section(model, model, ""),
        }
        content["definitions"][f"{name}SecretSettings"] = {
            **content["definitions"]["secretSettings"],
            "propertyNames": {"enum": sorted(set(_names(model, model, "")) - _SECRETS_SET_BY_CHART)},
        }
    pages = WebSettings.model_json_schema()
    content["definitions"]["webSettings"] = {
        "description": "Settings of the pages, as in web/settings.py.",
        **_section(pages, pages, ""),
    }
    return content


def _names(model: Mapping[str, Any], root: Mapping[str, Any], path: str) -> Iterator[str]:
    """Each setting that the chart does not set itself, a section's after a dot."""
    for name, field in model["properties"].items():
        target = _target(field)
        if name in SET_BY_CHART.get(path, ()):
            continue
        if target:
            yield from (f"{name}.{inner}" for inner in _names(root["$defs"][target], root, name))
        else:
            yield name


def _target(field: Mapping[str, Any]) -> str:
    """The name of the section that a field is; empty where it is none."""
    found = field.get("$ref") or next((part["$ref"] for part in field.get("allOf", ()) if "$ref" in part), "")
    return str(found).rsplit("/", 1)[-1]


def _section(model: Mapping[str, Any], root: Mapping[str, Any], path: str) -> dict[str, Any]:
    """A settings class as a schema without what the chart sets itself, and without secrets."""
    properties: dict[str, Any] = {}
    for name, field in model["properties"].items():
        target = _target(field)
        if name in SET_BY_CHART.get(path, ()) or field.get("format") == "password":
            continue
        if target:
            section = _section(root["$defs"][target], root, name)
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
    rows = [f"| `{key}` | {default} | {meaning} |" for key, default, meaning in _rows(content, content, values, "")]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows])


def _rows(node: Mapping[str, Any], root: Mapping[str, Any], values: Any, path: str) -> Iterator[tuple[str, str, str]]:
    """Each key with its default and its meaning, depth first."""
    for name, known in node["properties"].items():
        key = f"{path}{name}"
        field = root["definitions"][known["$ref"].rsplit("/", 1)[1]] if "$ref" in known else known
        value = values.get(name) if isinstance(values, Mapping) else None
        if _is_told_elsewhere(path.rstrip("."), name):
            continue
        if "properties" in field and known.get("$ref", "") not in _WHOLE and name != "settings":
            yield key, "", field["description"]
            yield from _rows(field, root, value, f"{key}.")
        else:
            yield key, _cell(value), field.get("description", "")


#: Shown in one row.
_WHOLE = ("#/definitions/resources", "#/definitions/network", "#/definitions/serverImage")
#: Alike in all services.
_ALIKE = [
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


def _is_told_elsewhere(part: str, name: str) -> bool:
    """Whether the row is the same as one under `embedding`."""
    return (
        name in _ALIKE
        and part != "embedding"
        and (part in REGISTRY or part in ("s3", "qdrant", "web", "migrate", "test"))
        and not (part in ("s3", "qdrant", "test") and name == "image")
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
    return {SCHEMA: json.dumps(content, indent=1, ensure_ascii=False) + "\n", README: readme(content)}


def main() -> None:
    """Write, or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare with what is committed, write nothing")
    is_check = parser.parse_args().check
    for path, text in wanted().items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if is_check:
            sys.stderr.write(f"{path.relative_to(ROOT)} is not current: run `python -m infra.chart`.\n")
            raise SystemExit(1)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
