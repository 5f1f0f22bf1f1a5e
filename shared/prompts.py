"""The one wording in which a multiple-choice question is put to a model, and in which it is to answer, everywhere.

Evaluation, self-annotation and training take the same form, or what is learned is not what is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

#: `letter`: the options stand in the prompt, the answer is a letter. `text`: they stand there, the answer is the text of one.
#: `open`: the question alone, the answer is the text of an option. Small models learn the forms with texts far better.
AnswerForm = Literal["letter", "text", "open"]
LETTER: Final = "letter"


def multiple_choice_prompt(question: str, options: Mapping[str, str], form: AnswerForm = LETTER) -> str:
    """The question, one line for each option in the order of the letters, and the wish for a letter or a text alone.

    Args:
        question: The question; white space at its ends is dropped.
        options: Letter to text; without any, the question is asked as it stands.
        form: Which lines there are: `X. text`, only the texts, or none.

    Returns: Text without image placeholder and chat format.
    """
    asked = question.strip()
    if form == "open" or not options:
        return asked
    if form == "text":
        lines = [f"- {options[letter].strip()}" for letter in sorted(options)]
        return "\n".join([asked, *lines, "Reply with the text of one option only."])
    lines = [f"{letter}. {options[letter].strip()}" for letter in sorted(options)]
    return "\n".join([asked, *lines, "Reply with the letter only."])


def multiple_choice_reply(options: Mapping[str, str], letter: str, form: AnswerForm = LETTER) -> str:
    """What a model is to reply where this option is right: its letter, or its text.

    Raises: KeyError: it is no option.
    """
    text = options[letter].strip()
    return letter if form == LETTER else text
