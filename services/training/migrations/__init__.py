"""The database of the training service, and the migrations that make it."""

from __future__ import annotations

from pathlib import Path

from services.training.store import METADATA
from shared.migrations import Schema
from shared.operation_table import METADATA as OPERATIONS

SCHEMA = Schema("training", (OPERATIONS, METADATA), Path(__file__).parent)
