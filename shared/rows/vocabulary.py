"""The words that several services share: modalities, how people spell them, splits, and the axes of capabilities."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import get_args

from shared.rows.fields import Modality, Split

UNKNOWN: Modality = "unknown"
#: Modalities that the product knows by name.
MODALITIES: tuple[Modality, ...] = tuple(name for name in get_args(Modality) if name != UNKNOWN)
#: Splits that an image or a question may belong to.
SPLITS: tuple[Split, ...] = get_args(Split)
#: What an item can be labelled by; a capability is a value on one of them, or a cell of several.
AXES = ("modality", "question_type", "attribute", "severity", "scope")
#: What a question is of: the three of perception, and the description, which has no options.
YES_NO, WHAT, HOW, DESCRIPTION = "yes_no", "what", "how", "description"
#: Levels of quality, the worst first; a description ends with one of them.
QUALITY_LADDER = ("reject", "usable", "good")
#: Stands in a cell for the values of an axis that have no cell of their own.
OTHER = "other"
_SHORTEST_MISSPELT = 4
_SPELLINGS = {
    "mr": "mri",
    "magnetic_resonance": "mri",
    "magnetic_resonance_imaging": "mri",
    "computed_tomography": "ct",
    "endoscopic": "endoscopy",
    "colour_fundus_photography": "fundus",
    "color_fundus_photography": "fundus",
    "fundoscopy": "fundus",
    "fundus_photography": "fundus",
    "pathology": "histopathology",
    "histology": "histopathology",
}


def label_of(text: str) -> str:
    """A text as a label: lower case, words of letters and digits joined by "_"."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def modality_label(text: str) -> str:
    """A modality as people write it under the product's name for it; one that the product does not know keeps its label."""
    label = label_of(text)
    return _SPELLINGS.get(label, label)


def name_modality(text: str) -> str:
    """The product's name of a modality as people write it; "unknown" for anything else, and for nothing."""
    label = modality_label(text)
    return label if label in MODALITIES else UNKNOWN


def meant_modality(text: str) -> str:
    """The modality that a text is a misspelling of; "" where it is known, or one of its own.

    A short name such as "oct" or "fmri" is one of its own, not "ct" or "mri" misspelt.
    """
    label = modality_label(text)
    if len(label) <= _SHORTEST_MISSPELT or label in (*MODALITIES, UNKNOWN):
        return ""
    return modality_label(next(iter(get_close_matches(label, (*MODALITIES, *_SPELLINGS), 1, cutoff=0.82)), ""))


def meant_split(text: str) -> str:
    """The split that a text is a misspelling of; "" where it is one, or near to none."""
    label = text.strip().lower()
    return "" if label in ("", *SPLITS) else next(iter(get_close_matches(label, SPLITS, 1, cutoff=0.75)), "")
