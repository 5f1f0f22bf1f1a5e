"""The database of the evaluation service, and the migrations that make it."""

from __future__ import annotations

from pathlib import Path

from services.evaluation.store import METADATA
from shared.migrations import Schema
from shared.operation_table import METADATA as OPERATIONS

SCHEMA = Schema("evaluation", (OPERATIONS, METADATA), Path(__file__).parent)
