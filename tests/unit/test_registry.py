"""The table of services says what the folders say."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.registry import REGISTRY
from shared.settings import SERVICES

ROOT = Path(__file__).resolve().parents[2]


def test_every_service_is_in_the_table_in_the_order_of_an_image() -> None:
    assert tuple(REGISTRY) == SERVICES
    assert set(SERVICES) == {path.parent.name for path in (ROOT / "services").glob("*/main.py")}


@pytest.mark.parametrize("name", REGISTRY)
def test_the_parts_of_an_entry_are_those_of_its_service(name: str) -> None:
    entry = REGISTRY[name]
    assert entry.schema.name == name
    assert entry.settings.model_config["env_prefix"] == f"MEDQ_{name.upper()}_"
