"""Which questions are asked about an image: those of the capability it was drawn for, or any (the ablation arm).

It knows templates and labels; not the image.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared.errors import InvalidArgument
from shared.rows.annotation import KnownAnswer
from shared.rows.benchmark import Item
from shared.rows.fields import Options
from shared.rows.vocabulary import OTHER


@dataclass(frozen=True)
class QuestionTemplate:
    """A question that can be asked about an image.

    Attributes:
        question: Its text.
        options: Letter to text.
        question_type: "yes_no", "what" or "how".
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


def question_digest(text: str, options: Mapping[str, str]) -> str:
    """16 hex digits that name a question with its options."""
    body = json.dumps([text, sorted(options.items())], ensure_ascii=False)
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def templates_by(
    name: Callable[[KnownAnswer | Item], str], rows: Iterable[KnownAnswer | Item]
) -> dict[str, list[list[QuestionTemplate]]]:
    """The questions of rows under a name, such as their image or modality; answers and severities are left out.

    Returns: For each name its questions, each as the list of its labellings: a template stands in several items, labelled
        after the images of those. The order does not depend on that of the rows.
    """
    found: dict[str, dict[str, list[QuestionTemplate]]] = {}
    for row in sorted(rows, key=lambda row: (row.question, row.attribute, row.item_id)):
        template = QuestionTemplate(
            row.question, row.options, row.question_type, row.attribute, row.scope, row.modality
        )
        digest = question_digest(row.question, row.options)
        labellings = found.setdefault(name(row), {}).setdefault(digest, [])
        if template not in labellings:
            labellings.append(template)
    return {key: list(questions.values()) for key, questions in found.items()}


def capability_driven(
    candidates: Sequence[QuestionTemplate], capability: str, n: int, rng: np.random.Generator
) -> tuple[QuestionTemplate, ...]:
    """The n questions that fit the capability best.

    First those that carry its value on every axis of it, then those that carry no value on one, on two and so on, then
    those that carry another value. Among equals each question type comes once before any comes twice, and chance decides
    what remains.

    Args:
        candidates: Questions that can be asked about the image.
        capability: A cell, as "modality:mri+attribute:motion"; an axis that questions do not have (severity), the value
            "other", and "" fit every question alike.
        n: How many, at least 0.
        rng: Draws among equals.

    Returns: min(n, number of candidates) different questions, the best first.
    Raises: InvalidArgument: n is negative.
    """
    order = _shuffled(candidates, n, rng)
    seen: dict[tuple[int, str], int] = {}
    ranked = []
    for template in order:
        misfit = _misfit(template, capability)
        group = (misfit, template.question_type)
        seen[group] = seen.get(group, 0) + 1
        ranked.append((misfit, seen[group], template))
    ranked.sort(key=lambda entry: entry[:2])
    return tuple(template for _, _, template in ranked[:n])


def seed_rule(candidates: Sequence[QuestionTemplate], n: int, rng: np.random.Generator) -> tuple[QuestionTemplate, ...]:
    """N questions at random, whatever the image was drawn for: the arm that capability-driven questions are compared with.

    Args:
        candidates: Questions that can be asked about the image.
        n: How many, at least 0.
        rng: Draws.

    Returns: min(n, number of candidates) different questions.
    Raises: InvalidArgument: n is negative.
    """
    return tuple(_shuffled(candidates, n, rng)[:n])


def _shuffled(candidates: Sequence[QuestionTemplate], n: int, rng: np.random.Generator) -> list[QuestionTemplate]:
    if n < 0:
        raise InvalidArgument("A number of questions is not negative.", field="n", value=n)
    return [candidates[i] for i in rng.permutation(len(candidates)).tolist()]


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
