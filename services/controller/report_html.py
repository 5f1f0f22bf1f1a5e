"""The page of a report."""

from __future__ import annotations

from typing import Any

from shared.objects.store import ObjectStore


def render(report: dict[str, Any], objects: ObjectStore) -> str:
    """The page."""
    return "<!doctype html>"
