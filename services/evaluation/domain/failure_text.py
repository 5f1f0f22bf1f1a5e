"""The question-and-answer side of a failure, as one text to embed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence


def failure_text(question: str, options: Mapping[str, str], wrong_choices: Sequence[str]) -> str:
    """The question, its options, and what the model answers wrongly most often.

    Args:
        question: The question.
        options: Letter to text.
        wrong_choices: The letters of the wrong answers, at least one; ties go to the first letter.

    Returns: Three lines. Two failures that ask the same and are answered with the same text give the same text,
        whatever the letter.
    """
    counts = Counter(wrong_choices)
    letter = min(counts, key=lambda choice: (-counts[choice], choice))
    listed = ", ".join(options[key] for key in sorted(options))
    return f"{question}\n{listed}\n{options.get(letter, letter)}"
