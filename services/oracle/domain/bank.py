"""The bank of questions: degradations and severities by modality, and the forms of questions. Knows no file and no oracle."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec
import numpy as np
from msgspec import Meta

from services.oracle.domain.questions import names
from shared.errors import InvalidArgument
from shared.rows.vocabulary import HOW, MODALITIES, OTHER, QUALITY_LADDER, UNKNOWN, WHAT, YES_NO, label_of

Severity = Literal["none", "mild", "severe"]
NONE: Final = "none"
_PERCEPTION = (YES_NO, WHAT, HOW)
_Text = Annotated[str, Meta(min_length=1, max_length=400)]
_ABOUT_ATTRIBUTE = "{attribute}"


class Attribute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A degradation: words that name it, the first one in questions; its scope; how it looks when mild and when severe."""

    words: Annotated[tuple[_Text, ...], Meta(min_length=1, max_length=10)]
    scope: Literal["general", "modality_specific"]
    mild: _Text
    severe: _Text


class Forms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How each question is put; `{attribute}` stands for the name of a degradation."""

    yes_no: _Text
    what: _Text
    how_severity: _Text
    how_level: _Text


class Common(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds for every modality: the version of the bank, what severities and levels mean, and the forms."""

    version: Annotated[int, Meta(ge=1)]
    severities: dict[Severity, _Text]
    levels: dict[str, _Text]
    forms: Forms


class Modality(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The degradations of one modality, by name."""

    modality: str
    attributes: Annotated[dict[str, Attribute], Meta(min_length=2, max_length=50)]


@dataclass(frozen=True)
class Bank:
    """The whole bank, checked.

    Raises: InvalidArgument: a modality, a severity or a level is missing or not known, or a form does not fit its question.
    """

    common: Common
    modalities: Mapping[str, Modality]

    def __post_init__(self) -> None:
        forms = self.common.forms
        about = (forms.yes_no, forms.how_severity)
        whole = (forms.what, forms.how_level)
        labels = [label for one in self.modalities.values() for label in one.attributes]
        faults = {
            "modalities": set(self.modalities) != {*MODALITIES, UNKNOWN},
            "severities": set(self.common.severities) != {NONE, "mild", "severe"},
            "levels": tuple(self.common.levels) != QUALITY_LADDER,
            "forms": not all(_ABOUT_ATTRIBUTE in one for one in about) or any(_ABOUT_ATTRIBUTE in one for one in whole),
            "attributes": any(label_of(label) != label or label in (NONE, OTHER) for label in labels),
        }
        wrong = [field for field, is_wrong in faults.items() if is_wrong]
        if wrong:
            remedy = "services/oracle/bank/README.md says what each part holds."
            raise InvalidArgument("The bank of questions is not whole.", field=wrong[0], remedy=remedy)


@dataclass(frozen=True)
class BankPart:
    """What of the bank concerns an image.

    Attributes:
        modality: Whose part it is; "unknown" where the image's is not known.
        attributes: Name to degradation.
        focus: The degradation that the image was drawn for, a key of `attributes`; "" for none.
        question_type: The type of question that it was drawn for; "" for none.
    """

    modality: str
    attributes: Mapping[str, Attribute]
    focus: str
    question_type: str = ""


@dataclass(frozen=True)
class Slot:
    """A question that is wanted: its type, and the degradation that it is about; "" where that is open, or quality as a whole."""

    question_type: str
    attribute: str


def part_of(bank: Bank, modality: str, capability: str) -> BankPart:
    """What of the bank concerns an image of a modality that was drawn for a capability.

    Args:
        bank: The bank.
        modality: The image's; one that the bank does not have is unknown.
        capability: A cell such as "modality:mri+attribute:motion"; "" and the value "other" say nothing. Its modality
            counts where the image's is unknown. A degradation that the bank does not have joins the part under the
            cell's own name.
    """
    cell = dict(label.split(":", 1) for label in capability.split("+") if ":" in label)
    known = modality if modality in MODALITIES else cell.get("modality", UNKNOWN)
    own = bank.modalities[known if known in MODALITIES else UNKNOWN]
    wanted = label_of(cell.get("attribute", ""))
    question_type = cell.get("question_type", "")
    if wanted in ("", NONE, OTHER):
        return BankPart(own.modality, own.attributes, "", question_type)
    focus = next((name for name, one in own.attributes.items() if wanted in (name, *map(label_of, one.words))), "")
    if focus:
        return BankPart(own.modality, own.attributes, focus, question_type)
    severities = bank.common.severities
    added = Attribute((wanted.replace("_", " "),), "modality_specific", severities["mild"], severities["severe"])
    return BankPart(own.modality, {**own.attributes, wanted: added}, wanted, question_type)


def slots_of(part: BankPart, n: int, *key: str | int) -> tuple[tuple[Slot, ...], bool]:
    """Which questions are wanted: each type comes once before any comes twice, and of a type first what is about the weakness.

    Args:
        part: Of the bank; the type that its image was drawn for begins.
        n: How many, at least 1.
        key: Names the draw: the same key, part and number give the same questions.

    Returns: min(n, number of possible questions) different ones, and whether all that are possible are wanted.
    """
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest, "big"))
    types = [_PERCEPTION[i] for i in rng.permutation(len(_PERCEPTION)).tolist()]
    types.sort(key=lambda one: one != part.question_type)
    order = sorted(part.attributes)
    others = [name for i in rng.permutation(len(order)).tolist() if (name := order[i]) != part.focus]
    first = [part.focus] if part.focus else []
    about = {YES_NO: [*first, *others], WHAT: [""], HOW: [*first, "", *others]}
    ranked = sorted((turn, types.index(kind), name) for kind, named in about.items() for turn, name in enumerate(named))
    return tuple(Slot(types[place], attribute) for _, place, attribute in ranked[:n]), len(ranked) <= n


def named_in(text: str, part: BankPart) -> set[str]:
    """The degradations of a part that a text names, by any of their words."""
    found = part.attributes.items()
    return {name for name, one in found if any(names(text, label_of(word)) for word in (name, *one.words))}
