"""The one wording in which a multiple-choice question is put to a model, in evaluation and in training alike."""

from __future__ import annotations

from collections.abc import Mapping


def multiple_choice_prompt(question: str, options: Mapping[str, str]) -> str:
    """The question, one `X. text` line for each option in the order of the letters, and the wish for a letter alone.

    Args:
        question: The question; white space at its ends is dropped.
        options: Letter to text.

    Returns: Text without image placeholder and chat format.
    """
    lines = [f"{letter}. {options[letter].strip()}" for letter in sorted(options)]
    return "\n".join([question.strip(), *lines, "Reply with the letter only."])
