"""The runbook quotes only what the code writes: events of the log, and messages of errors."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
PAGE = " ".join((ROOT / "docs" / "runbook.md").read_text(encoding="utf-8").split())
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
#: What the page quotes of log lines, operations and dead letters, beside events.
FIELDS = {"ce_deadlettergroup", "ce_deadletterreason", "max_in_flight", "operation_id", "run_id", "trace_id"}


def _nodes() -> Iterator[ast.AST]:
    for folder in ("shared", "services", "cli"):
        for path in (ROOT / folder).rglob("*.py"):
            yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def _texts(node: ast.AST) -> list[str]:
    """The node's own text, where it is one; nothing otherwise."""
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def _events() -> set[str]:
    """Every event that a logger is given."""
    return {
        event
        for node in _nodes()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS
        for event in _texts(node.args[0] if node.args else node)
    }


def _quoted() -> set[str]:
    return set(re.findall(r"log line `([^`]+)`", PAGE))


def test_every_quoted_log_line_is_written_somewhere() -> None:
    assert _quoted()
    assert _quoted() <= _events()


def test_every_quoted_message_is_written_somewhere() -> None:
    quoted = re.findall(r'message "([^"]+)"', PAGE)
    written = [text for node in _nodes() for text in _texts(node)]
    assert quoted
    assert [message for message in quoted if not any(message in text for text in written)] == []


def test_every_quoted_panel_is_on_the_dashboard() -> None:
    text = (ROOT / "infra" / "telemetry" / "dashboard.yaml").read_text(encoding="utf-8")
    panels = {panel["title"] for row in yaml.safe_load(text)["rows"] for panel in row["panels"]}
    assert set(re.findall(r'panel "([^"]+)"', PAGE)) <= panels


def test_a_name_that_is_not_quoted_as_a_log_line_is_a_field() -> None:
    names = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", PAGE))
    assert names - _quoted() == FIELDS
