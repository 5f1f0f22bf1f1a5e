"""Capability dimensions of an item: the c_1 .. c_K of the paper, as labels `axis:value`."""

from __future__ import annotations

from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer


def axes_of(row: Item | Answer) -> dict[str, str]:
    """Axis to the value of an item, or of an answer to it; "" for no value."""
    return {
        "modality": row.modality,
        "question_type": row.question_type,
        "attribute": row.attribute,
        "severity": row.severity,
        "scope": row.scope,
    }


def capability_labels(item: Item) -> tuple[str, ...]:
    """The capabilities k with c_k(item) = 1: one `axis:value` for each axis with a value, in the order of the axes."""
    return tuple(f"{axis}:{value}" for axis, value in axes_of(item).items() if value)
