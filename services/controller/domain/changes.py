"""The same question before and after: how many the model came to answer rightly or wrongly, and a few of them to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer

Json = dict[str, Any]
#: Examples of each kind; the rule that picks them is in `changes`.
N_BECAME_RIGHT, N_BECAME_WRONG = 3, 1
_LONGEST_REPLY = 200  # characters of a reply in which no option can be read


def changes(rounds: Mapping[int, Sequence[Answer]], number: int, items: Sequence[Item]) -> Json | None:
    """What changed on test between the base model and the model that comes out.

    Args:
        rounds: Round to every answer on test; each question is answered once.
        number: The round of the model that comes out, so far.
        items: The questions.

    Returns: `n` questions that both could be evaluated at, `n_became_right`, `n_became_wrong`, and `examples`, each with what
        was asked, chosen before and after, and right. They are not picked by hand: of each cell one, the cells in which the
        base model erred most first, and there the first by name. None where both are the same model, or no
        question was put to both.
    """
    if number == 0 or not rounds.get(0) or not rounds.get(number):
        return None
    asked = {item.item_id: item for item in items if item.options}
    before, after = (
        {row.item_id: row for row in rounds[when] if row.evaluated and row.item_id in asked} for when in (0, number)
    )
    both = before.keys() & after.keys()
    if not both:
        return None
    became: dict[bool, list[str]] = {True: [], False: []}
    for item_id in sorted(both, key=_weakest_cell_first(before)):
        is_right = after[item_id].correct is True
        if (before[item_id].correct is True) != is_right:
            became[is_right].append(item_id)
    picked = [
        *_one_of_each_cell(became[True], asked)[:N_BECAME_RIGHT],
        *_one_of_each_cell(became[False], asked)[:N_BECAME_WRONG],
    ]
    return {
        "round": number,
        "n": len(both),
        "n_became_right": len(became[True]),
        "n_became_wrong": len(became[False]),
        "examples": [_example(asked[item_id], before[item_id], after[item_id]) for item_id in picked],
    }


def _weakest_cell_first(answers: Mapping[str, Answer]) -> Callable[[str], tuple[float, str]]:
    """Sorts items by how much of their cell was answered wrongly, then by name."""
    total = Counter((row.modality, row.attribute) for row in answers.values())
    wrong = Counter((row.modality, row.attribute) for row in answers.values() if row.correct is not True)

    def rank(item_id: str) -> tuple[float, str]:
        cell = (answers[item_id].modality, answers[item_id].attribute)
        return -wrong[cell] / total[cell], item_id

    return rank


def _one_of_each_cell(item_ids: Sequence[str], items: Mapping[str, Item]) -> list[str]:
    first: dict[tuple[str, str], str] = {}
    for item_id in item_ids:
        first.setdefault((items[item_id].modality, items[item_id].attribute), item_id)
    return list(first.values())


def _example(item: Item, before: Answer, after: Answer) -> Json:
    return {
        "item_id": item.item_id,
        "image_id": item.image_id,
        "modality": item.modality,
        "attribute": item.attribute,
        "question": item.question,
        "right": item.options[item.answer],
        "before": _said(item, before),
        "after": _said(item, after),
        "is_right_after": after.correct is True,
    }


def _said(item: Item, row: Answer) -> str:
    """The text of the option that was read in a reply; the reply itself where none was."""
    return item.options.get(row.choice or "", row.answer[:_LONGEST_REPLY])
