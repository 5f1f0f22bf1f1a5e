"""The one wording in which a multiple-choice question is put to a model, and in which it is to answer, everywhere.

Evaluation, self-annotation and training take the same form, or what is learned is not what is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from shared.quality_level import closing_phrase
from shared.rows.vocabulary import QUALITY_LADDER

#: `letter`: the options stand in the prompt, the answer is a letter. `text`: they stand there, the answer is the text of one.
#: `open`: the question alone, the answer is the text of an option. Small models learn the forms with texts far better.
AnswerForm = Literal["letter", "text", "open"]
LETTER: Final = "letter"
TEXT: Final = "text"
#: What can be asked of any image by one who knows nothing of it, with the options: how good it is, and whether it shows a fault.
LEVEL_QUESTION: Final = "How do you rate the quality of this image?"
FREE_QUESTION: Final = "Is this image free of visible degradation?"
QUALITY_QUESTIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {LEVEL_QUESTION: tuple(level.capitalize() for level in reversed(QUALITY_LADDER)), FREE_QUESTION: ("Yes", "No")}
)
#: How a description is asked for where a table has no question of its own; what it must end with is MedQ-Bench's, the rest ours.
DESCRIPTION_QUESTION: Final = (
    "You are an expert in the quality of medical images. Describe in 3 to 5 sentences how this image looks: noise, sharpness, "
    "contrast, brightness and artifacts, how strong each is, and how it limits what can be seen. Leave out anatomy and diseases. "
    f"End with this sentence, and with one of the three words: {closing_phrase('/'.join(reversed(QUALITY_LADDER)))}"
)


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
    if form == TEXT:
        lines = [f"- {options[letter].strip()}" for letter in sorted(options)]
        return "\n".join([asked, *lines, "Reply with the text of one option only."])
    lines = [f"{letter}. {options[letter].strip()}" for letter in sorted(options)]
    return "\n".join([asked, *lines, "Reply with the letter only."])


def multiple_choice_reply(options: Mapping[str, str], answer: str, form: AnswerForm = LETTER) -> str:
    """What a model is to reply where this option is right: its letter, or its text; without options the answer itself.

    Raises: KeyError: it is no option.
    """
    if not options:
        return answer.strip()
    text = options[answer].strip()
    return answer if form == LETTER else text
