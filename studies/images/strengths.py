"""The strengths of the two severities, as `python -m studies.images.severities` has measured them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

STRENGTHS_FILE = Path(__file__).with_name("strengths.yaml")
"""Modality to degradation to severity to strength."""


@cache
def strengths() -> Mapping[str, Mapping[str, Mapping[str, float]]]:
    """The table."""
    table: Mapping[str, Mapping[str, Mapping[str, float]]] = yaml.safe_load(STRENGTHS_FILE.read_text(encoding="utf-8"))
    return table
