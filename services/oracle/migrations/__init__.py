"""The database of the oracle service, and the migrations that make it."""

from pathlib import Path

from services.oracle.store import annotations, reviews
from shared.migrations import Schema
from shared.operation_table import METADATA as OPERATIONS

SCHEMA = Schema("oracle", (OPERATIONS, annotations.METADATA, reviews.METADATA), Path(__file__).parent)
