"""The database of the embedding service, and the migrations that make it."""

from __future__ import annotations

from pathlib import Path

from services.embedding.store.tables import METADATA
from shared.migrations import Schema
from shared.operation_table import METADATA as OPERATIONS

SCHEMA = Schema("embedding", (OPERATIONS, METADATA), Path(__file__).parent)
