"""The question-and-answer side of a failure, as one text to embed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

#: What a model says in whose reply no option can be read, and one that describes nothing.
_NO_OPTION, _NO_DESCRIPTION = "no option", "no description"


def failure_text(question: str, options: Mapping[str, str], wrong_choices: Sequence[str | None]) -> str:
    """The question, its options, and what the model answers wrongly most often.

    Args:
        question: The question.
        options: Letter to text.
        wrong_choices: The letters of the wrong answers, None for a reply in which none can be read, at least one; ties go to the
            first letter, and to a letter before none.

    Returns: Three lines. Two failures that ask the same and are answered with the same text give the same text,
        whatever the letter.
    """
    counts = Counter(choice or "" for choice in wrong_choices)
    letter = min(counts, key=lambda choice: (-counts[choice], not choice, choice))
    listed = ", ".join(options[key] for key in sorted(options))
    return f"{question}\n{listed}\n{options.get(letter, letter) or _NO_OPTION}"


def described_text(question: str, reference: str, wrong_replies: Sequence[tuple[int, str]]) -> str:
    """The question, the reference, and the model's worst description.

    Args:
        question: The question.
        reference: The reference description.
        wrong_replies: Of each wrong run the sum of its grades, and the description, "" for none; at least one; of equal ones
            the first counts.

    Returns: Three parts, each on a line of its own.
    """
    _, worst = min(wrong_replies, key=lambda one: one[0])
    return f"{question}\n{reference}\n{worst or _NO_DESCRIPTION}"
