"""The same question before and after: how many the model came to answer rightly, and how many wrongly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer

Json = dict[str, Any]


def changes(rounds: Mapping[int, Sequence[Answer]], number: int, items: Sequence[Item]) -> Json | None:
    """What changed on test between the base model and the model that comes out.

    Args:
        rounds: Round to every answer on test; each question is answered once.
        number: The round of the model that comes out, so far.
        items: The questions.

    Returns: `n` questions that both could be evaluated at, `n_became_right` and `n_became_wrong`. None where both are the same
        model, or no question was put to both.
    """
    if number == 0 or not rounds.get(0) or not rounds.get(number):
        return None
    asked = {item.item_id for item in items if item.options}
    before, after = (
        {row.item_id: row.correct is True for row in rounds[when] if row.evaluated and row.item_id in asked}
        for when in (0, number)
    )
    both = before.keys() & after.keys()
    if not both:
        return None
    return {
        "round": number,
        "n": len(both),
        "n_became_right": sum(after[one] and not before[one] for one in both),
        "n_became_wrong": sum(before[one] and not after[one] for one in both),
    }
