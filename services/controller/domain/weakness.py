"""Where a model is weak: the share of test questions that it answers wrongly, by modality and attribute, before and after.

Test decides nothing in the loop, so a cell is not shown for having been drawn by chance as a weak one, as it would be on dev.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from services.controller.domain.seeds import derive_seed
from shared.rows.evaluation import Answer
from shared.rows.vocabulary import DESCRIPTION
from shared.statistics import bootstrap_mean

Json = dict[str, Any]
_Cell = tuple[str, str]


def weakness(rounds: Mapping[int, Sequence[Answer]], number: int, *, seed: int) -> Json | None:
    """Wrong shares of the cells, of the base model and of the model that comes out.

    Args:
        rounds: Round to every answer on test.
        number: The round of the model that comes out, so far.
        seed: Of the run.

    Returns: `round`; `axis`, `attribute` or, where no question has one, `question_type`; and `cells` by name, each with its
        `modality`, its `value` on that axis, and `before` and `after`: intervals of 95 % that resample sources, None where
        nothing was evaluated. Descriptions have grades, and are left out. None before the base model is evaluated.
    """
    if 0 not in rounds:
        return None
    asked = {when: [row for row in rounds.get(when, ()) if _counts(row)] for when in (0, number)}
    axis = "attribute" if any(row.attribute for row in asked[0]) else "question_type"
    found = {when: _by_cell(rows, axis) for when, rows in asked.items()}

    def estimate(when: int, cell: _Cell) -> Json | None:
        own = found[when].get(cell, [])
        rng = np.random.default_rng(derive_seed(seed, "/".join(cell), when, "weakness"))
        wrong = [row.correct is not True for row in own]
        return asdict(bootstrap_mean(wrong, [row.source_id for row in own], rng)) if own else None

    cells = [
        {"modality": cell[0], "value": cell[1], "before": estimate(0, cell), "after": estimate(number, cell) if number else None}
        for cell in sorted(found[0].keys() | found[number].keys())
    ]  # fmt: skip
    return {"round": number, "axis": axis, "cells": cells}


def _counts(row: Answer) -> bool:
    return row.evaluated and row.question_type != DESCRIPTION


def _by_cell(rows: Sequence[Answer], axis: str) -> dict[_Cell, list[Answer]]:
    cells: dict[_Cell, list[Answer]] = {}
    for row in rows:
        cells.setdefault((row.modality, getattr(row, axis)), []).append(row)
    return cells
