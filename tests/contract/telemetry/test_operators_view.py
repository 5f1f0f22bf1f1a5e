"""Dashboard, alerts and runbook speak of metrics that exist, and the alerts fire when they should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.dashboard import DASHBOARD, dashboard

ROOT = Path(__file__).resolve().parents[3]
TELEMETRY = ROOT / "infra" / "telemetry"
ALERTS = ROOT / "charts" / "medq-engine" / "files" / "alerts.yaml"
_METRIC = re.compile(r"\bmedq_[a-z_]+")
_SUFFIXES = {"histogram": ("_bucket", "_count", "_sum")}


def _load(name: str) -> Any:
    return yaml.safe_load((TELEMETRY / name).read_text(encoding="utf-8"))


def _series() -> set[str]:
    """Every series that the declared metrics make."""
    found = set()
    for name, metric in _load("metrics.yaml")["metrics"].items():
        found |= {name + suffix for suffix in _SUFFIXES.get(metric["type"], ("",))}
    return found


def _rules() -> list[dict[str, Any]]:
    alerts = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    return [rule for group in alerts["groups"] for rule in group["rules"]]


def _panels() -> list[dict[str, str]]:
    return [panel for row in _load("dashboard.yaml")["rows"] for panel in row["panels"]]


def test_alerts_and_panels_ask_for_declared_metrics() -> None:
    asked = {name for part in (*_rules(), *_panels()) for name in _METRIC.findall(re.sub(r'"[^"]*"', "", part["expr"]))}
    assert asked <= _series()


def test_every_declared_metric_is_shown_or_alerted_on() -> None:
    text = " ".join(part["expr"] for part in (*_rules(), *_panels()))
    unseen = [name for name in _load("metrics.yaml")["metrics"] if name not in text]
    assert unseen == []


def test_labels_in_alerts_and_panels_are_declared() -> None:
    declared = {label for metric in _load("metrics.yaml")["metrics"].values() for label in metric["labels"]}
    for part in (*_rules(), *_panels()):
        grouped = re.findall(r"by \(([^)]*)\)", part["expr"])
        named = {label.strip() for labels in grouped for label in labels.split(",")}
        assert named <= declared | {"le"}, part["expr"]


def test_methods_in_alerts_and_panels_are_calls() -> None:
    protos = (ROOT / "protos").rglob("*.proto")
    calls = {name for path in protos for name in re.findall(r"\brpc (\w+)\(", path.read_text(encoding="utf-8"))}
    for part in (*_rules(), *_panels()):
        assert set(re.findall(r'method[!=~]+"(\w+)"', part["expr"])) <= calls, part["expr"]


def test_the_dashboard_is_made_of_its_description() -> None:
    made = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    assert made == dashboard(_load("dashboard.yaml"))
    assert len({panel["id"] for panel in made["panels"]}) == len(made["panels"])


def test_every_alert_stands_in_the_runbook_and_nothing_else_does() -> None:
    text = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    alerts = [rule["alert"] for rule in _rules()]
    assert re.findall(r"^## (Medq\w+)$", text, re.MULTILINE) == alerts
    for rule in _rules():
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"


@pytest.mark.parametrize("command", [["check", "rules", str(ALERTS)], ["test", "rules", "alerts_test.yaml"]])
def test_promtool_finds_the_alerts_right(command: list[str]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    done = subprocess.run([promtool, *command], cwd=TELEMETRY, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
