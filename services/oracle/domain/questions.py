"""Which questions are asked about an image: those of the capability it was drawn for, or any (the ablation arm).

It knows templates and labels; not the image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared.errors import InvalidArgument


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
    options: Mapping[str, str]
    question_type: str
    attribute: str
    scope: str
    modality: str


def capability_driven(
    candidates: Sequence[QuestionTemplate], capability: str, n: int, rng: np.random.Generator
) -> tuple[QuestionTemplate, ...]:
    """The n questions that fit the capability best.

    First those that carry its value on its axis, then those that carry no value on it, then the rest. Among equals each
    question type comes once before any comes twice, and chance decides what remains.

    Args:
        candidates: Questions that can be asked about the image.
        capability: `axis:value`, as "attribute:motion"; a label on an axis that questions do not have (severity), or "",
            fits every question alike.
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


def seed_rule(
    candidates: Sequence[QuestionTemplate], n: int, rng: np.random.Generator
) -> tuple[QuestionTemplate, ...]:
    """N questions at random, whatever the image was drawn for: the arm that capability-driven questions are compared with.

    Args:
        candidates: Questions that can be asked about the image.
        n: How many, at least 0.
        rng: Draws.

    Returns: min(n, number of candidates) different questions.
    Raises: InvalidArgument: n is negative.
    """
    return tuple(_shuffled(candidates, n, rng)[:n])


def _shuffled(
    candidates: Sequence[QuestionTemplate], n: int, rng: np.random.Generator
) -> list[QuestionTemplate]:
    if n < 0:
        raise InvalidArgument("A number of questions is not negative.", field="n", value=n)
    return [candidates[i] for i in rng.permutation(len(candidates)).tolist()]


def _misfit(template: QuestionTemplate, capability: str) -> int:
    """0 where the template carries the capability, 1 where it carries no value on that axis, 2 where another."""
    axis, _, value = capability.partition(":")
    own = {
        "question_type": template.question_type,
        "attribute": template.attribute,
        "scope": template.scope,
        "modality": template.modality,
    }.get(axis, "")
    own = "_".join(own.casefold().split())
    if not own:
        return 1
    return 0 if own == value else 2
