"""How much richer in a cell the drawn images are than the pool, where the truth about the pool is known.

It is known in a simulation alone: what the simulated oracle knows of the pool says what each image shows. No step of the loop
reads this; it is for the report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from shared.rows.failures import CapabilityErrorRate
from shared.rows.vocabulary import OTHER

Json = dict[str, Any]
Cell = tuple[str, str]
#: The axes of which the truth is known, in the order of a `Cell`.
AXES = ("modality", "attribute")


def richness(
    pool: Mapping[str, Collection[Cell]], drawn: Iterable[str], capabilities: Sequence[CapabilityErrorRate]
) -> Json | None:
    """Shares of each cell (modality and attribute) in the pool and in the draw.

    Args:
        pool: Image id to the cells of the image; one with several counts in each.
        drawn: Ids of the images that were drawn; those of which nothing is known are left out.
        capabilities: e_k of the round.

    Returns: `n_pool` and `n_drawn`, the images of which the truth is known; `cells`, by name; and `weak`, the same for all
        images of a weak capability together: one with an e_k above the failed share of all items. A ratio is the share in the
        draw divided by the share in the pool. None where nothing is known of what was drawn; `weak` is None without any.
    """
    known = [pool[image_id] for image_id in drawn if image_id in pool]
    if not known:
        return None
    in_pool, in_draw = (Counter(cell for cells in images for cell in cells) for images in (pool.values(), known))
    drawn_for = [row for row in capabilities if row.is_drawn_for]
    is_weak = {cell for cell in in_pool if _is_weak(cell, drawn_for)}
    weak_in_pool, weak_in_draw = (
        sum(not is_weak.isdisjoint(cells) for cells in images) for images in (pool.values(), known)
    )

    def compared(n_in_pool: int, n_in_draw: int) -> Json:
        pool_share, drawn_share = n_in_pool / len(pool), n_in_draw / len(known)
        return {"pool_share": pool_share, "drawn_share": drawn_share, "ratio": drawn_share / pool_share}

    return {
        "n_pool": len(pool),
        "n_drawn": len(known),
        "cells": [
            {"cell": _name(cell), "is_weak": cell in is_weak, **compared(in_pool[cell], in_draw[cell])}
            for cell in sorted(in_pool)
        ],
        "weak": compared(weak_in_pool, weak_in_draw) if is_weak else None,
    }


def _is_weak(cell: Cell, capabilities: Sequence[CapabilityErrorRate]) -> bool:
    """Whether more items fail of this cell's capability than of all that are drawn for together."""
    n_items = sum(row.n_items for row in capabilities)
    overall = sum(row.n_failures for row in capabilities) / n_items if n_items else 0.0
    own = [row for row in capabilities if _has(cell, row.capability)]
    # `other` holds what has no capability of its own.
    own.sort(key=lambda row: row.capability.endswith(f":{OTHER}"))
    return bool(own) and own[0].error_rate is not None and own[0].error_rate > overall


def _has(cell: Cell, capability: str) -> bool:
    """Whether images of this cell may have the capability; not where it has an axis of which the truth is not known."""
    values = dict(zip(AXES, cell, strict=True))
    labels = [part.partition(":") for part in capability.split("+")]
    return all(
        values.get(axis) == value or (value == OTHER and axis in values and (len(labels) > 1 or not values[axis]))
        for axis, _, value in labels
    )


def _name(cell: Cell) -> str:
    return "+".join(f"{axis}:{value}" for axis, value in zip(AXES, cell, strict=True) if value)
