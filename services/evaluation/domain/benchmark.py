"""One row of a MedQ-Bench table becomes one item, or the reason why it cannot.

A row with options is a question; one with a text under `description` and no option asks for a description, and that text is its
reference. It knows nothing of files: a row is a mapping from column to text. An item is never guessed: where the answer can be
read in two ways, or names no option, the row is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from shared.prompts import DESCRIPTION_QUESTION
from shared.rows.benchmark import Item, Rejection
from shared.rows.fields import LETTERS, Split
from shared.rows.images import Image
from shared.rows.vocabulary import (
    DESCRIPTION,
    HOW,
    QUALITY_LADDER,
    UNKNOWN,
    WHAT,
    YES_NO,
    label_of,
    meant_modality,
    modality_label,
)

#: Columns of the two pictures of a comparison.
PAIR_COLUMNS = ("image_a", "image_b")
_QUESTION_COLUMNS = ("question", "answer")
#: Longest question, and longest option, in characters; a model would work on a longer one for minutes.
MOST_CHARACTERS = 10_000
_NOT_A_NUMBER = "nan"  # what table tools write for an empty cell; "None" and "N/A" are options that occur
_ALIASES = {
    "yes_or_no": "yes_no",
    "yesno": "yes_no",
    "general_medical": "general",
    "caption": DESCRIPTION,
    **dict.fromkeys(("l0", "no_degradation"), "none"),
    **dict.fromkeys(("l1", "mild_degradation"), "mild"),
    **dict.fromkeys(("l2", "severe_degradation"), "severe"),
}
#: What published tables call a column, where the one of our name is not there.
_COLUMN_ALIASES = {"attribute": "degradation_type", "severity": "degradation_severity"}
_QUESTION_TYPES = (YES_NO, WHAT, HOW)
_COMPARISONS = ("comparison", "paired_description")


def missing_columns(columns: Collection[str]) -> list[str]:
    """The columns that a table lacks: it needs an index, and questions with answers, or descriptions."""
    needed = ("index",) if DESCRIPTION in columns else ("index", *_QUESTION_COLUMNS)
    return [column for column in needed if column not in columns]


def item_of(row: Mapping[str, str], image: Image, split: Split) -> Item | Rejection:
    """Read one row.

    Args:
        row: Column to text; see `missing_columns`, and the options A to E of which an empty one is absent.
        image: The image that the row is about.
        split: The split that is imported.

    Returns: The item, or the reason why there is none. The image's modality goes before the row's. The item has the
        image's source.
    """
    name = cell(row, "index")
    options = options_of(row)
    is_description = asks_for_description(row)
    question = cell(row, "question") or (DESCRIPTION_QUESTION if is_description else "")
    answers = {_reference(row)} - {""} if is_description else answer_letters(cell(row, "answer"), options)
    texts = (question, _reference(row), *options.values())
    modality_of_row = modality_label(cell(row, "modality")) or UNKNOWN
    meant = meant_modality(modality_of_row)
    refusals = (
        (not question, "the question is empty", "write the question"),
        (max(map(len, texts)) > MOST_CHARACTERS, "a text is too long", f"keep it below {MOST_CHARACTERS} characters"),
        (bool(meant), "the modality is misspelt", f"write {meant}"),
        (is_description and bool(options), "a description has options", "leave A to E empty, or name another type"),
        (is_description and not answers, "the reference description is empty", "fill the column `description`"),
    )
    of_row = next(((reason, remedy) for is_refused, reason, remedy in refusals if is_refused), None)
    refusal = of_row or (None if is_description else refusal_of(options, answers))
    if refusal:
        return Rejection(name=name, reason=refusal[0], remedy=refusal[1])
    return Item(
        item_id=name,
        image_id=image.image_id,
        image_uri=image.image_uri,
        question=question,
        options=options,
        answer=answers.pop(),
        question_type=DESCRIPTION
        if is_description
        else question_type_of(label(row, "question_type"), question, options),
        attribute=label(row, "attribute"),
        severity=label(row, "severity"),
        scope=label(row, "scope"),
        modality=modality_of_row if image.modality == UNKNOWN else image.modality,
        source_id=image.source_id,
        split=split,
        slice=label(row, "slice"),
    )


def compares_two_images(row: Mapping[str, str]) -> bool:
    """Whether a row is about two images: by its pictures, by a list of paths, or by its type."""
    has_pair = any(cell(row, column) for column in PAIR_COLUMNS)
    is_list = re.fullmatch(r"\[.*,.*\]", cell(row, "image_path"), re.DOTALL)
    return has_pair or bool(is_list) or label(row, "question_type") in _COMPARISONS


def asks_for_description(row: Mapping[str, str]) -> bool:
    """Whether a row asks for a description: it says so, or it has a text for one and neither a type nor an option."""
    declared = label(row, "question_type")
    if declared in (DESCRIPTION, *_QUESTION_TYPES):
        return declared == DESCRIPTION
    return bool(cell(row, DESCRIPTION)) and not options_of(row)


def _reference(row: Mapping[str, str]) -> str:
    """The reference text of a description; where a table has one column for every answer, it stands there."""
    return cell(row, DESCRIPTION) or cell(row, "answer")


def cell(row: Mapping[str, str], column: str) -> str:
    """The text of a cell without white space at its ends; "" where the column is absent or the cell is empty or NaN."""
    text = row.get(column, "").strip()
    return "" if text.lower() == _NOT_A_NUMBER else text


def label(row: Mapping[str, str], column: str) -> str:
    """A cell as a label: lower case, words joined by "_", the names of MedQ-Bench's axes made ours."""
    text = label_of(cell(row, column) or cell(row, _COLUMN_ALIASES.get(column, column)))
    return _ALIASES.get(text, text)


def options_of(row: Mapping[str, str]) -> dict[str, str]:
    """Letter to text of the options that are there, in order; letters stay where one between them is absent."""
    return {letter: cell(row, letter) for letter in LETTERS if cell(row, letter)}


def answer_letters(answer: str, options: Mapping[str, str]) -> set[str]:
    """Every option that an answer cell can mean: its letter, its number from 0, its exact text (any case).

    Args:
        answer: A letter, an integer 0-4 (also as "1.0", as table tools write it), or a text.
        options: Letter to text.

    Returns: Letters; a letter is never read as a text. Empty: the answer is none of the options.
    """
    if answer.upper() in tuple(LETTERS):
        return {answer.upper()} & set(options)
    meant = {letter for letter, text in options.items() if text.casefold() == answer.casefold() != ""}
    number = re.fullmatch(r"([0-4])(\.0)?", answer)
    if number:
        meant |= {LETTERS[int(number.group(1))]} & set(options)
    return meant


def refusal_of(options: Mapping[str, str], letters: set[str]) -> tuple[str, str] | None:
    """Why these options and the letters that the answer can mean are no item, and the remedy; None where they are one."""
    refusals = (
        (len(options) < 2, "fewer than two options", "fill at least the columns A and B"),
        (len({text.casefold() for text in options.values()}) < len(options), "two options are alike", "reword one"),
        (not letters, "the answer is not among the options", "give a letter, 0-4, or an option's exact text"),
        (len(letters) > 1, "the answer can be read as more than one option", "give the letter"),
    )
    return next(((reason, remedy) for is_refused, reason, remedy in refusals if is_refused), None)


def question_type_of(declared: str, question: str, options: Mapping[str, str]) -> str:
    """The declared type where it is one of the three, else a rule on the text.

    Two options Yes and No: "yes_no". The options Good, Usable and Reject, or a question that begins with "How": "how".
    Else "what".
    """
    if declared in _QUESTION_TYPES:
        return declared
    texts = {text.casefold() for text in options.values()}
    if texts == {"yes", "no"}:
        return YES_NO
    is_how = texts == set(QUALITY_LADDER) or re.match(r"how\b", question.strip(), re.IGNORECASE)
    return HOW if is_how else WHAT
