"""The database of the NAME service, and the migrations that make it."""

from __future__ import annotations

from pathlib import Path

from shared.migrations import Schema
from shared.operation_table import METADATA as OPERATIONS

SCHEMA = Schema("NAME", (OPERATIONS,), Path(__file__).parent)
