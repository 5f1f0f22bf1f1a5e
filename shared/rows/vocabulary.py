"""The words that several services share: modalities, how people spell them, splits, and the axes of capabilities."""

from __future__ import annotations

import re
from typing import get_args

from shared.rows.fields import Modality, Split

UNKNOWN: Modality = "unknown"
#: Modalities that the product knows by name.
MODALITIES: tuple[Modality, ...] = tuple(name for name in get_args(Modality) if name != UNKNOWN)
#: Splits that an image or a question may belong to.
SPLITS: tuple[Split, ...] = get_args(Split)
#: What an item can be labelled by; a capability is a value on one of them, or a cell of several.
AXES = ("modality", "question_type", "attribute", "severity", "scope")
#: Stands in a cell for the values of an axis that have no cell of their own.
OTHER = "other"
_SPELLINGS = {
    "mr": "mri",
    "magnetic_resonance_imaging": "mri",
    "computed_tomography": "ct",
    "endoscopic": "endoscopy",
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
