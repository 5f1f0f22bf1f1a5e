"""The answer of a real oracle about one image: read, checked against itself, and made into questions. Nothing is mended."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec
import numpy as np
from msgspec import Meta
from msgspec.structs import replace

from services.oracle.domain.bank import NONE, BankPart, Slot, named_in
from services.oracle.domain.questions import Proposal, QuestionTemplate
from shared.prompts import DESCRIPTION_QUESTION
from shared.quality_level import closing_level
from shared.rows.fields import LETTERS, Options
from shared.rows.vocabulary import DESCRIPTION, HOW, QUALITY_LADDER, WHAT, YES_NO

#: Longest answer that is read at all, in characters.
MOST_CHARACTERS: Final = 60_000
_QUESTION_CHARACTERS, _OPTION_CHARACTERS, _DESCRIPTION_CHARACTERS = (8, 300), (1, 120), (40, 3000)
_SEVERITIES: Final = (NONE, "mild", "severe")
#: Words that turn a Yes/No question round: Yes shall mean that the degradation is there.
_TURNED_ROUND = re.compile(r"\b(free (of|from)|without|absen(t|ce)|lack(s|ing)?)\b", re.IGNORECASE)

CUT = "It was cut at its longest length."
NO_OBJECT = "It is not the JSON object that was asked for."
UNKNOWN_ATTRIBUTE = "It names a degradation that is not in the list."
REPEATED_FINDING = "A degradation stands twice among the findings."
OTHER_QUESTIONS = "Its questions are not those that were asked for, in their order."
SAME_QUESTION = "Two of its questions are the same."
LENGTH = "A question, an option or the description is too short or too long."
OPTIONS = "A question has not two to five different options."
OTHER_OPTIONS = "The options of a Yes/No or How question are not those that were asked for."
NOT_AN_OPTION = "An answer is none of its options."
TURNED_ROUND = "A Yes/No question is put so that Yes means that the degradation is absent."
NO_LEVEL = "The description does not close with the quality of the image."
YES_NO_CONTRADICTS = "A Yes/No answer contradicts the findings."
WHAT_CONTRADICTS = "A What answer contradicts the findings."
HOW_CONTRADICTS = "A How answer contradicts the findings or the level."
LEVEL_CONTRADICTS = "The level of the description contradicts the level of the image."
FINDINGS_CONTRADICT = "The level contradicts the findings."


class UselessError(ValueError):
    """What an oracle said is of no use; the message says why, without a word of what it said."""


class _Finding(msgspec.Struct, frozen=True):
    attribute: str
    severity: Literal["none", "mild", "severe"]


class _Question(msgspec.Struct, frozen=True):
    type: str
    attribute: str
    question: str
    options: list[str]
    answer: str


class _Answer(msgspec.Struct, frozen=True):
    findings: Annotated[list[_Finding], Meta(max_length=60)]
    level: Literal["reject", "usable", "good"]
    questions: Annotated[list[_Question], Meta(max_length=100)]
    description: str


@dataclass(frozen=True)
class _Image:
    """What the oracle said of an image: its part of the bank, severity of each degradation that is there, and its level."""

    part: BankPart
    seen: Mapping[str, str]
    level: str


def proposals_of(text: str, part: BankPart, slots: Sequence[Slot], *key: str | int) -> tuple[Proposal, ...]:
    """The questions and the description that an oracle's answer proposes.

    Args:
        text: The answer, JSON by `prompts.answer_schema`.
        part: What of the bank concerns the image.
        slots: The questions that were wanted.
        key: Names the shuffle of the options, with the question: the same key gives the same letters.

    Returns: The questions in the order of the slots, then the description.
    Raises: UselessError: it is malformed, not what was asked for, or contradicts itself.
    """
    answer = _read(text)
    seen = _findings(answer, part)
    _require(len(answer.questions) == len(slots), OTHER_QUESTIONS)
    image = _Image(part, seen, answer.level)
    found = [_proposal(one, slot, image, key) for one, slot in zip(answer.questions, slots, strict=True)]
    _require(len({one.template.question.casefold() for one in found}) == len(found), SAME_QUESTION)
    described = _plain(answer.description)
    _require_length(described, _DESCRIPTION_CHARACTERS)
    _require(closing_level(described) != "", NO_LEVEL)
    _require(closing_level(described) == answer.level, LEVEL_CONTRADICTS)
    about = part.focus if part.focus in seen else ""
    template = QuestionTemplate(DESCRIPTION_QUESTION, {}, DESCRIPTION, about, "general", part.modality)
    return (*found, Proposal(template, described))


def shuffled(options: Sequence[str], *key: str | int) -> Options:
    """The options under letters, in an order that follows from the key alone and not from theirs."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest, "big"))
    ordered = sorted(options)
    return {LETTERS[place]: ordered[i] for place, i in enumerate(rng.permutation(len(ordered)).tolist())}


def _read(text: str) -> _Answer:
    """The object, also where a server has fenced it as code."""
    body = re.sub(r"^```(?:json)?\s*|\s*```$", "", text[: MOST_CHARACTERS + 1].strip())
    _require(len(text) <= MOST_CHARACTERS, NO_OBJECT)
    try:
        return msgspec.json.decode(body, type=_Answer)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise UselessError(NO_OBJECT) from None


def _findings(answer: _Answer, part: BankPart) -> dict[str, str]:
    """Severity of each degradation that is there."""
    names = [one.attribute for one in answer.findings]
    _require(all(name in part.attributes for name in names), UNKNOWN_ATTRIBUTE)
    _require(len(set(names)) == len(names), REPEATED_FINDING)
    seen: dict[str, str] = {one.attribute: one.severity for one in answer.findings if one.severity != NONE}
    _require(not (answer.level == "good" and "severe" in seen.values()), FINDINGS_CONTRADICT)
    _require(not (answer.level == "reject" and not seen), FINDINGS_CONTRADICT)
    return seen


def _proposal(asked: _Question, slot: Slot, image: _Image, key: tuple[str | int, ...]) -> Proposal:
    texts = [_plain(option) for option in asked.options]
    for text, bounds in ((asked.question, _QUESTION_CHARACTERS), *((one, _OPTION_CHARACTERS) for one in texts)):
        _require_length(_plain(text), bounds)
    _require(2 <= len(texts) <= len(LETTERS) and len({one.casefold() for one in texts}) == len(texts), OPTIONS)
    _require(asked.type == slot.question_type, OTHER_QUESTIONS)
    answer = _plain(asked.answer).casefold()
    right = next((option for option in texts if option.casefold() == answer), None)
    if right is None:
        raise UselessError(NOT_AN_OPTION)
    plain = replace(asked, question=_plain(asked.question), options=texts, answer=right)
    _CHECKS[slot.question_type](plain, slot, image)
    options = shuffled(texts, *key, plain.question)
    letter = next(letter for letter, option in options.items() if option == right)
    scope = image.part.attributes[plain.attribute].scope if plain.attribute else "general"
    template = QuestionTemplate(
        plain.question, options, slot.question_type, plain.attribute, scope, image.part.modality
    )
    return Proposal(template, letter)


def _check_yes_no(asked: _Question, slot: Slot, image: _Image) -> None:
    _require_about(asked, slot, image.part)
    _require({one.casefold() for one in asked.options} == {"yes", "no"}, OTHER_OPTIONS)
    _require(not _TURNED_ROUND.search(asked.question), TURNED_ROUND)
    _require((asked.answer.casefold() == "yes") == (asked.attribute in image.seen), YES_NO_CONTRADICTS)


def _check_what(asked: _Question, slot: Slot, image: _Image) -> None:
    """The right option names a degradation that is there; that none is there only where none is."""
    _require(asked.attribute in image.part.attributes or not asked.attribute, UNKNOWN_ATTRIBUTE)
    named = named_in(asked.answer, image.part)
    _require(asked.attribute in image.seen if asked.attribute else not image.seen and not named, WHAT_CONTRADICTS)
    _require(not named or asked.attribute in named, WHAT_CONTRADICTS)


def _check_how(asked: _Question, slot: Slot, image: _Image) -> None:
    _require_about(asked, slot, image.part)
    wanted = _SEVERITIES if asked.attribute else QUALITY_LADDER
    _require({one.casefold() for one in asked.options} == set(wanted), OTHER_OPTIONS)
    truth = image.seen.get(asked.attribute, NONE) if asked.attribute else image.level
    _require(asked.answer.casefold() == truth, HOW_CONTRADICTS)


_CHECKS = {YES_NO: _check_yes_no, WHAT: _check_what, HOW: _check_how}


def _require_about(asked: _Question, slot: Slot, part: BankPart) -> None:
    """The question is about the degradation of its slot, by its label and, where it names any, by its words."""
    named = named_in(asked.question, part)
    is_named = not named or asked.attribute in named
    _require(asked.attribute == slot.attribute and (is_named or not asked.attribute), OTHER_QUESTIONS)


def _plain(text: str) -> str:
    """Single-spaced, without what cannot be printed."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _require_length(text: str, bounds: tuple[int, int]) -> None:
    _require(bounds[0] <= len(text) <= bounds[1], LENGTH)


def _require(is_right: bool, reason: str) -> None:
    if not is_right:
        raise UselessError(reason)
