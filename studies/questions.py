"""Questions about an image whose degradation is known, in the shape of MedQ-Bench's perception task.

Three types: Yes/No (does it show this?), What (which of four?), How (Good, Usable or Reject?). The answer is right by
construction; the order of the options is drawn. The wording is ours. The module knows nothing of pixels or files.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from shared.errors import InvalidArgument
from shared.prompts import FREE_QUESTION, LEVEL_QUESTION
from shared.quality_level import closing_phrase
from shared.rows.vocabulary import DESCRIPTION
from studies.images.degradations import DEGRADATIONS, NONE

PHRASES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "mri": {
            NONE: "no visible degradation",
            "motion": "motion ghosting",
            "aliasing": "undersampling aliasing",
            "inhomogeneity": "signal inhomogeneity",
            "noise": "noise",
            "susceptibility": "a susceptibility void",
            "spikes": "spike stripes",
        },
        "ct": {
            NONE: "no visible degradation",
            "noise": "noise",
            "streaks": "sparse-view streaks",
            "metal": "metal artifacts",
            "rings": "ring artifacts",
            "cupping": "cupping",
        },
        "endoscopy": {
            NONE: "no visible degradation",
            "motion": "motion blur",
            "illumination": "uneven illumination",
            "contrast": "low contrast",
            "reflections": "specular reflections",
            "bubbles": "bubbles",
        },
        "fundus": {
            NONE: "no visible degradation",
            "defocus": "defocus blur",
            "illumination": "uneven illumination",
            "contrast": "low contrast",
            "colour": "a colour cast",
            "compression": "compression blocks",
        },
        "histopathology": {
            NONE: "no visible degradation",
            "defocus": "defocus blur",
            "colour": "a colour cast",
            "compression": "compression blocks",
            "bubbles": "bubbles",
            "spots": "dark spots",
        },
    }
)
"""How each degradation is called in a question, by modality."""

LEVELS: Mapping[str, str] = MappingProxyType({NONE: "Good", "mild": "Usable", "severe": "Reject"})
"""Severity to the quality level that is the answer to a How question (ours: the known severity, not a reader)."""

N_CHOICES = 4
"""Options of a What question."""

N_WHATS = 3
"""Sets of options that are drawn for the What questions about an image of the pool."""

FREEDOM_CHANCE = 1 / 4
"""How often a No about a degraded image asks whether it is *free* of degradation.

Where one image in five is clean, that form is then answered Yes as often as No, and so is the form that names one.
"""

LETTERS = "ABCD"

DESCRIPTION_REQUEST = "Describe the quality of this image."


@dataclass(frozen=True)
class Finding:
    """What is known of an image: its modality, its degradation (or `none`) and how strong that is."""

    modality: str
    attribute: str
    severity: str

    def __post_init__(self) -> None:
        """Refuse a degradation that the modality does not have, or a severity that does not fit it."""
        if self.attribute not in DEGRADATIONS.get(self.modality, {}):
            value = f"{self.modality}/{self.attribute}"
            raise InvalidArgument("No such modality and degradation.", field="attribute", value=value)
        if self.severity not in LEVELS or (self.severity == NONE) != (self.attribute == NONE):
            value = f"{self.attribute}/{self.severity}"
            raise InvalidArgument("The severity does not fit.", field="severity", value=value)

    @property
    def is_clean(self) -> bool:
        """Whether the image shows no degradation."""
        return self.attribute == NONE

    @property
    def scope(self) -> str:
        """`modality_specific` where no other modality has this degradation, else `general`."""
        n_modalities = sum(self.attribute in names for names in DEGRADATIONS.values())
        return "modality_specific" if n_modalities == 1 else "general"


@dataclass(frozen=True)
class Question:
    """Options in order of their letters and the letter of the right one; of a description no option, and its text."""

    text: str
    options: tuple[str, ...]
    answer: str
    question_type: str


def ask_yes_no(finding: Finding, is_yes: bool, names: Collection[str], rng: np.random.Generator) -> Question:
    """A question whose answer is Yes or No, as wanted.

    Args:
        finding: What is known of the image.
        is_yes: The answer that is wanted; ask for both equally often and the questions are balanced.
        names: Degradations that may be asked about although the image does not show them; of its modality.
        rng: Draws the degradation asked about.

    Returns:
        A question with the options Yes and No.

    Raises:
        InvalidArgument: `names` holds nothing that the image does not show.
    """
    asks_freedom = finding.is_clean if is_yes else not finding.is_clean and rng.random() < FREEDOM_CHANCE
    if asks_freedom:
        return ask_free(finding)
    return ask_shows(finding, finding.attribute if is_yes else str(rng.choice(_absent(finding, names))))


def ask_free(finding: Finding) -> Question:
    """Is the image free of degradation?"""
    return _ordered(FREE_QUESTION, ("Yes", "No"), "Yes" if finding.is_clean else "No", "yes_no")


def ask_shows(finding: Finding, name: str) -> Question:
    """Does the image show this degradation, one of its modality?"""
    text = f"Does this image show {PHRASES[finding.modality][name]}?"
    return _ordered(text, ("Yes", "No"), "Yes" if name == finding.attribute else "No", "yes_no")


def ask_what(finding: Finding, names: Collection[str], rng: np.random.Generator) -> Question:
    """Which degradation is it? Four options of that modality, `no visible degradation` among the candidates.

    Args:
        finding: What is known of the image.
        names: Degradations that may be wrong options; of its modality.
        rng: Draws the wrong options.

    Raises:
        InvalidArgument: fewer than three wrong options can be had.
    """
    absent = _absent(finding, names) + ([] if finding.is_clean else [NONE])
    if len(absent) < N_CHOICES - 1:
        remedy = f"give at least {N_CHOICES - 1} besides the right one"
        raise InvalidArgument("Too few options for a What question.", field="names", value=absent, remedy=remedy)
    wrong = rng.choice(absent, size=N_CHOICES - 1, replace=False)
    phrases = PHRASES[finding.modality]
    shown = {finding.attribute, *map(str, wrong)}
    options = [phrase for name, phrase in phrases.items() if name in shown]
    return _ordered("What degradation does this image show?", options, phrases[finding.attribute], "what")


def ask_how(finding: Finding) -> Question:
    """How good is it? Good for a clean image, Usable for a mild degradation, Reject for a severe one."""
    return _ordered(LEVEL_QUESTION, tuple(LEVELS.values()), LEVELS[finding.severity], "how")


def ask_description(finding: Finding) -> Question:
    """What does the image show, in words? It ends with the quality level, as descriptions do."""
    shown = PHRASES[finding.modality][finding.attribute]
    text = f"{shown[0].upper()}{shown[1:]}. {closing_phrase(LEVELS[finding.severity])}"
    return Question(DESCRIPTION_REQUEST, (), text, DESCRIPTION)


def ask_all(finding: Finding, names: Collection[str], rng: np.random.Generator) -> list[Question]:
    """What can be asked of somebody who knows the image: every Yes/No, What with several sets of options, How, a description.

    Args:
        finding: What is known of the image.
        names: Degradations that may be named although the image does not show them; of its modality.
        rng: Draws the wrong options.
    """
    shown = [name for name in DEGRADATIONS[finding.modality] if name in {*names, finding.attribute} and name != NONE]
    whats = {question.options: question for question in (ask_what(finding, names, rng) for _ in range(N_WHATS))}
    return [
        ask_free(finding),
        *(ask_shows(finding, name) for name in shown),
        *whats.values(),
        ask_how(finding),
        ask_description(finding),
    ]


def _absent(finding: Finding, names: Collection[str]) -> list[str]:
    """The degradations that the image does not show, in the order of the registry."""
    known = DEGRADATIONS[finding.modality]
    absent = [name for name in known if name in names and name not in (NONE, finding.attribute)]
    if not absent:
        raise InvalidArgument("Nothing to ask about that the image does not show.", field="names", value=sorted(names))
    return absent


def _ordered(text: str, options: Sequence[str], right: str, question_type: str) -> Question:
    """The question with its options in the order given, each with a capital.

    The order is fixed (Yes before No, Good before Usable before Reject, degradations as `PHRASES` has them): a model of under a
    million parameters does not learn within minutes to look a shuffled option up. `docs/experiments.md` has the figures.
    """
    shown = tuple(option[0].upper() + option[1:] for option in options)
    return Question(text, shown, LETTERS[options.index(right)], question_type)
