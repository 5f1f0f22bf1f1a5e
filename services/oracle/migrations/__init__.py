"""The database of the oracle service, and the migrations that make it."""

from pathlib import Path

from services.oracle.store import annotations, review_tables
from shared.migrations import Schema
from shared.operation_table import METADATA as OPERATIONS

SCHEMA = Schema("oracle", (OPERATIONS, annotations.METADATA, review_tables.METADATA), Path(__file__).parent)
