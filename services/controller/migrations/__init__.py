"""The database of the controller service, and the migrations that make it."""

from __future__ import annotations

from pathlib import Path

from services.controller.store import egress, ledger, runs
from shared.migrations import Schema
from shared.operation_table import METADATA as OPERATIONS

SCHEMA = Schema("controller", (OPERATIONS, runs.METADATA, ledger.METADATA, egress.METADATA), Path(__file__).parent)
