"""The table that experts fill in for a development set, and the table of questions that is made of it. Pure: knows no files."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from medq.oracle.v1 import oracle_pb2
from shared.quality_level import closing_level
from shared.rows.fields import LETTERS
from shared.rows.vocabulary import DESCRIPTION, HOW, QUALITY_LADDER, UNKNOWN, WHAT, YES_NO, label_of

#: What stands between the choices of a question in the table.
_BETWEEN = " | "
_NOTHING = "None"
_LEVELS = tuple(level.capitalize() for level in reversed(QUALITY_LADDER))
_SEVERITIES = ("", "none", "mild", "severe")
#: Options of a question of which there is more to choose from than a question shows.
_N_OPTIONS = 4
#: Columns that experts fill in, and those that say what is asked.
FILLED = ("answer", "description", "severity", "reject")
ASKED = ("index", "image_path", "question_type", "question", "choices", "attribute", "scope")
#: Columns of an image, carried from where it came from.
OF_IMAGE = ("modality", "source_id", "patient_id", "session_id", "licence")
TEMPLATE_COLUMNS = (*ASKED, *FILLED, *OF_IMAGE)
DEV_COLUMNS = (
    "index", "image_path", "question", *LETTERS, "answer", "description", "question_type", "attribute", "severity", "scope",
    *OF_IMAGE,
)  # fmt: skip
Cells = dict[str, str]


@dataclass(frozen=True)
class BadRow:
    """A row that is no question: its index, or its line where that is empty, and why."""

    name: str
    reason: str


def template_rows(
    image: Mapping[str, str], number: int, bank: oracle_pb2.GetQuestionBankResponse, seed: int
) -> Iterator[Cells]:
    """What is asked of an image: Yes/No about one degradation of its modality, What, How, and a description; no answers.

    Args:
        image: `image_path` and the columns `OF_IMAGE`.
        number: Of the image in the set, from 1: names its questions.
        bank: The forms, and the degradations by modality.
        seed: Of the draw of the degradation.
    """
    parts = {part.modality: part.attributes for part in bank.modalities}
    attributes = parts.get(image["modality"]) or parts[UNKNOWN]
    about = random.Random(f"{seed}/{image['image_path']}").choice(attributes)
    asked = (
        (
            YES_NO,
            bank.forms.yes_no.replace("{attribute}", about.words),
            ("Yes", "No"),
            label_of(about.words),
            about.scope,
        ),
        (WHAT, bank.forms.what, (*(one.words for one in attributes), _NOTHING), "", ""),
        (HOW, bank.forms.how_level, _LEVELS, "", "general"),
        (DESCRIPTION, bank.forms.description, (), "", "general"),
    )
    for kind, question, choices, attribute, scope in asked:
        yield {
            **dict.fromkeys(TEMPLATE_COLUMNS, ""),
            **image,
            "index": f"{number:04}-{kind}",
            "question_type": kind,
            "question": question,
            "choices": _BETWEEN.join(choices),
            "attribute": attribute,
            "scope": scope,
        }


def dev_row(row: Mapping[str, str], seed: int) -> Cells | BadRow:
    """The question that a filled row makes, or why it makes none.

    Args:
        row: Of the table, filled in.
        seed: Of the order of the options, and of what stands beside the right one.
    """
    name = row.get("index", "").strip()
    reason = _fault(row)
    if reason:
        return BadRow(name, reason)
    kept = {column: row.get(column, "").strip() for column in DEV_COLUMNS}
    if row["question_type"].strip() == DESCRIPTION:
        return kept | {"answer": "", "severity": row.get("severity", "").strip()}
    choices = choices_of(row)
    right = next(text for text in choices if _is_meant(text, row["answer"]))
    options = choices
    if row["question_type"].strip() == WHAT:
        options = _around(right, choices, f"{seed}/{name}")
        kept["attribute"] = "" if right == _NOTHING else label_of(right)
    letters = dict(zip(LETTERS, options, strict=False))
    answer = next(letter for letter, text in letters.items() if text == right)
    severity = kept["severity"] or ("none" if right in ("No", _NOTHING) else "")
    return kept | letters | {"answer": answer, "description": "", "severity": severity}


def _fault(row: Mapping[str, str]) -> str:
    """Why a row is no question; "" where it is one."""
    cells = {column: row.get(column, "").strip() for column in TEMPLATE_COLUMNS}
    kind, choices = cells["question_type"], choices_of(row)
    is_description = kind == DESCRIPTION
    filled = cells["description" if is_description else "answer"]
    n_meant = sum(_is_meant(text, filled) for text in choices)
    faults = (
        (not cells["index"], "the index is empty"),
        (not cells["image_path"] or not cells["question"], "the image or the question is empty"),
        (kind not in (YES_NO, WHAT, HOW, DESCRIPTION), "the type of the question is none of the four"),
        (bool(cells["reject"]), "the expert rejected it"),
        (not filled, "nobody has filled it in"),
        (
            not is_description and not _are_choices(choices, kind),
            "the choices are fewer than two, or alike, or too many",
        ),
        (not is_description and n_meant != 1, "the answer is none of the choices"),
        (is_description and not closing_level(filled), "the description does not end with the level of quality"),
        (cells["severity"].lower() not in _SEVERITIES, "the severity is none of none, mild, severe"),
    )
    return next((reason for is_so, reason in faults if is_so), "")


def _are_choices(choices: Sequence[str], kind: str) -> bool:
    n_different = len({text.casefold() for text in choices})
    return 2 <= len(choices) == n_different and (kind == WHAT or n_different <= len(LETTERS))


def choices_of(row: Mapping[str, str]) -> list[str]:
    """What a row lets choose from; nothing where it asks for a description."""
    return [text.strip() for text in row.get("choices", "").split("|") if text.strip()]


def _is_meant(text: str, answer: str) -> bool:
    return text.casefold() == answer.strip().casefold()


def _around(right: str, choices: Sequence[str], key: str) -> list[str]:
    """The right choice among others, in a drawn order: "None" is always one of them."""
    rng = random.Random(key)
    fixed = [right] if right == _NOTHING or _NOTHING not in choices else [right, _NOTHING]
    others = [text for text in choices if text not in fixed]
    options = [*fixed, *rng.sample(others, min(len(others), _N_OPTIONS - len(fixed)))]
    rng.shuffle(options)
    return options
