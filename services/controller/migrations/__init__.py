"""The database of the controller service, and the migrations that make it."""

from __future__ import annotations

from pathlib import Path

from services.controller import ledger_store, store
from shared.migrations import Schema
from shared.operation_rows import METADATA as OPERATIONS

SCHEMA = Schema("controller", (OPERATIONS, store.METADATA, ledger_store.METADATA), Path(__file__).parent)
