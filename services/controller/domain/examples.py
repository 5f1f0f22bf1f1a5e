"""A few test questions with what the base model and each arm answered: chosen by a rule, not by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer

Json = dict[str, Any]
_MOST = 12
_LONGEST_REPLY = 200  # characters of a reply in which no option can be read


def examples(arms: Mapping[str, Sequence[Answer]], base: Sequence[Answer], asked: Mapping[str, Item]) -> list[Json]:
    """Of each modality a question that the first arm came to answer rightly, and one that it came to answer wrongly.

    Each is the first by image id, which is a digest of the pixels, then by item id; there is none where nothing changed that way.

    Args:
        arms: Arm to its answers on test, the one that is told of first.
        base: Likewise of the base model.
        asked: The questions of all these, by id.

    Returns: At most 12, by modality, what came right before what came wrong: each an item with `right`, the right option, `base`
        and `arms`, each with the `text` that was chosen and `is_right`; an arm that could not be evaluated there is left out.
    """
    before = _evaluated(base)
    after = {arm: _evaluated(rows) for arm, rows in arms.items()}
    first = next(iter(after.values()))
    found: dict[tuple[str, bool], str] = {}
    for item_id in sorted(before.keys() & first.keys(), key=lambda one: (asked[one].image_id, one)):
        is_right = first[item_id].correct is True
        if is_right != (before[item_id].correct is True):
            found.setdefault((asked[item_id].modality, is_right), item_id)
    keys = sorted(found, key=lambda key: (key[0], not key[1]))[:_MOST]
    return [_example(asked[found[key]], before, after) for key in keys]


def _evaluated(rows: Sequence[Answer]) -> dict[str, Answer]:
    return {row.item_id: row for row in rows if row.evaluated}


def _example(item: Item, base: Mapping[str, Answer], arms: Mapping[str, Mapping[str, Answer]]) -> Json:
    return {
        "item_id": item.item_id,
        "image_id": item.image_id,
        "modality": item.modality,
        "attribute": item.attribute,
        "severity": item.severity,
        "question": item.question,
        "right": item.options[item.answer],
        "base": _said(item, base[item.item_id]),
        "arms": {arm: _said(item, rows[item.item_id]) for arm, rows in arms.items() if item.item_id in rows},
    }


def _said(item: Item, row: Answer) -> Json:
    """The text of the option that was read in a reply, the reply itself where none was, and whether it is right."""
    return {"text": item.options.get(row.choice or "", row.answer[:_LONGEST_REPLY]), "is_right": row.correct is True}
