"""Code and declaration of the metrics are the same."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
KINDS = {"Counter": "counter", "Gauge": "gauge", "Histogram": "histogram"}
LABELS = {"service", "method", "code", "kind", "state", "group", "type", "outcome", "route", "endpoint"}


def _declared() -> dict[str, dict[str, Any]]:
    text = (ROOT / "infra" / "telemetry" / "metrics.yaml").read_text(encoding="utf-8")
    metrics: dict[str, dict[str, Any]] = yaml.safe_load(text)["metrics"]
    return metrics


def _in_code() -> Iterator[tuple[str, str, list[str]]]:
    """Name, kind and labels of each metric that the code makes."""
    for folder in ("shared", "services", "web", "cli"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                    continue
                if node.func.id in KINDS and node.args and isinstance(node.args[0], ast.Constant):
                    values = [ast.literal_eval(argument) for argument in node.args]
                    yield values[0], KINDS[node.func.id], values[2] if len(values) > 2 else []


def test_what_the_code_makes_is_what_is_declared() -> None:
    declared = {(name, m["type"], tuple(m["labels"])) for name, m in _declared().items()}
    assert {(name, kind, tuple(labels)) for name, kind, labels in _in_code()} == declared


def test_names_follow_the_convention() -> None:
    for name, metric in _declared().items():
        assert name.startswith("medq_")
        assert name.endswith("_total") == (metric["type"] == "counter")
        assert metric["help"]


def test_labels_come_from_closed_sets() -> None:
    for metric in _declared().values():
        assert set(metric["labels"]) <= LABELS
