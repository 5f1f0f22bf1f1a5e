"""Which questions are asked about an image: those of the capability it was drawn for, or a fixed list (the ablation arm).

It knows templates and labels; not the image.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared.errors import InvalidArgument
from shared.rows.annotation import KnownAnswer
from shared.rows.benchmark import Item
from shared.rows.fields import Options
from shared.rows.vocabulary import OTHER

#: How near the words of a question are to an attribute, the nearest first.
_NAMES_IN_TEXT, _NAMES_IN_OPTIONS, _NAMES_NONE, _NAMES_ANOTHER = range(4)


@dataclass(frozen=True)
class QuestionTemplate:
    """A question that can be asked about an image.

    Attributes:
        question: Its text.
        options: Letter to text.
        question_type: "yes_no", "what", "how", or "description", which has no options.
        attribute: The quality attribute it asks for, or "" for quality as a whole.
        scope: "general", "modality_specific" or "".
        modality: The modality it is for, or "" for any.
    """

    question: str
    options: Options
    question_type: str
    attribute: str
    scope: str
    modality: str


@dataclass(frozen=True)
class Proposal:
    """A question about an image with the oracle's answer: a letter, a description, or None where it does not know."""

    template: QuestionTemplate
    answer: str | None


@dataclass(frozen=True)
class Asking:
    """Which questions are asked.

    Attributes:
        n: Multiple-choice questions for an image, at least 1; a description comes beside them.
        is_seed_rule: Whether one fixed list is asked, whatever the image was drawn for (the ablation arm).
        seed: Of the draw.
    """

    n: int
    is_seed_rule: bool
    seed: int


def question_digest(text: str, options: Mapping[str, str]) -> str:
    """16 hex digits that name a question with its options."""
    body = json.dumps([text, sorted(options.items())], ensure_ascii=False)
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def templates_of(rows: Iterable[KnownAnswer | Item]) -> list[list[QuestionTemplate]]:
    """The questions of rows about one image or of one modality; answers and severities are left out.

    Returns: Each question as the list of its labellings: a template stands in several items, labelled after the images of
        those. The order does not depend on that of the rows.
    """
    found: dict[str, list[QuestionTemplate]] = {}
    for row in sorted(rows, key=lambda row: (row.question, row.attribute, row.item_id)):
        template = QuestionTemplate(
            row.question, row.options, row.question_type, row.attribute, row.scope, row.modality
        )
        labellings = found.setdefault(question_digest(row.question, row.options), [])
        if template not in labellings:
            labellings.append(template)
    return list(found.values())


def capability_driven(
    candidates: Sequence[QuestionTemplate],
    capability: str,
    n: int,
    rng: np.random.Generator,
    attributes: Collection[str] = (),
) -> tuple[QuestionTemplate, ...]:
    """The n questions that fit the capability best.

    First those that carry its value on every axis of it, then those that carry no value on one, on two and so on, then
    those that carry another value. Among equals a question whose text names another attribute than the capability's comes
    last; each question type comes once before any comes twice; of a type first what names the attribute in its text, then
    what names it among its options; chance decides
    what remains.

    Args:
        candidates: Questions that can be asked about the image.
        capability: A cell, as "modality:mri+attribute:motion"; an axis that questions do not have (severity), the value
            "other", and "" fit every question alike.
        n: How many, at least 0.
        rng: Draws among equals.
        attributes: All attributes that are known, so that one is told when a text names it.

    Returns: min(n, number of candidates) different questions, the best first.
    Raises: InvalidArgument: n is negative.
    """
    order = _shuffled(candidates, n, rng)
    closeness = {id(template): _closeness(template, capability, attributes) for template in order}
    order.sort(key=lambda template: closeness[id(template)])
    seen: dict[tuple[int, bool, str], int] = {}
    ranked = []
    for template in order:
        misfit, close = _misfit(template, capability), closeness[id(template)]
        group = (misfit, close == _NAMES_ANOTHER, template.question_type)
        seen[group] = seen.get(group, 0) + 1
        ranked.append((misfit, close == _NAMES_ANOTHER, seen[group], close, template))
    ranked.sort(key=lambda entry: entry[:4])
    return tuple(entry[4] for entry in ranked[:n])


def seed_rule(candidates: Sequence[QuestionTemplate], n: int, seed: int) -> tuple[QuestionTemplate, ...]:
    """The first n of one list of questions that is the same for every image, whatever that was drawn for.

    The seed orders all questions of each type; each type comes once before any comes twice. This is the paper's seed-rule
    QA, the arm that capability-driven questions are compared with: both ask every type, and differ in what is asked.

    Args:
        candidates: Questions that can be asked about the image.
        n: How many, at least 0.
        seed: Of the list.

    Returns: min(n, number of candidates) different questions. Where there are no more than n, all of them, as by
        `capability_driven`.
    Raises: InvalidArgument: n is negative.
    """
    _require_number(n)
    turns: dict[str, int] = {}
    ranked = []
    for template in sorted(candidates, key=lambda template: _place(template, seed)):
        turns[template.question_type] = turn = turns.get(template.question_type, 0) + 1
        ranked.append((turn, template))
    ranked.sort(key=lambda entry: entry[0])
    return tuple(template for _, template in ranked[:n])


def _place(template: QuestionTemplate, seed: int) -> str:
    """Where a question stands in the list of a seed."""
    return hashlib.sha256(f"{seed}/{question_digest(template.question, template.options)}".encode()).hexdigest()


def _shuffled(candidates: Sequence[QuestionTemplate], n: int, rng: np.random.Generator) -> list[QuestionTemplate]:
    _require_number(n)
    return [candidates[i] for i in rng.permutation(len(candidates)).tolist()]


def _require_number(n: int) -> None:
    if n < 0:
        raise InvalidArgument("A number of questions is not negative.", field="n", value=n)


def _closeness(template: QuestionTemplate, capability: str, attributes: Collection[str]) -> int:
    """How a question's words relate to the attribute of the capability; all alike where that has none."""
    wanted = dict(label.split(":", 1) for label in capability.split("+") if ":" in label).get("attribute", "")
    if wanted in ("", OTHER):
        return _NAMES_NONE
    if names(template.question, wanted):
        return _NAMES_IN_TEXT
    if any(names(template.question, attribute) for attribute in attributes):
        return _NAMES_ANOTHER
    return _NAMES_IN_OPTIONS if any(names(text, wanted) for text in template.options.values()) else _NAMES_NONE


def names(text: str, attribute: str) -> bool:
    """Whether a text has the words of an attribute in a row, whatever their endings: "ring artifacts" names `rings`."""
    words = [re.escape(word.removesuffix("s")) + r"\w*" for word in attribute.casefold().split("_") if word]
    return bool(words) and re.search(r"\b" + r"\W+".join(words), text.casefold()) is not None


def _misfit(template: QuestionTemplate, capability: str) -> int:
    """0 where the template carries every value of the capability, 1 more for each axis on which it carries none.

    Largest of all where it carries another value on one of the axes.
    """
    own = {
        "question_type": template.question_type,
        "attribute": template.attribute,
        "scope": template.scope,
        "modality": template.modality,
    }
    labels = [label.partition(":") for label in capability.split("+")]
    wanted = {axis: value for axis, _, value in labels if value != OTHER}
    found = {axis: "_".join(own.get(axis, "").casefold().split()) for axis in wanted}
    if any(found[axis] and found[axis] != value for axis, value in wanted.items()):
        return len(wanted) + 1
    return sum(not value for value in found.values())
