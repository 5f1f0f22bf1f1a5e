"""The plan of a study: how many images each split has, what is left out, and how much rarer that is in the pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from shared.errors import InvalidArgument
from studies.images.degradations import DEGRADATIONS, NONE
from studies.images.phantoms import SMALLEST_SIZE

SPLITS = ("base", "pool", "dev", "test", "replay")

SOURCES_PER_SPLIT = 10_000_000
"""The range of seeds that one split of one study may draw from; ranges never overlap."""

FEWEST_KNOWN = 3
"""Known degradations that each modality keeps: a What question needs three wrong options, `none` among them."""

DEFAULT_LEFT_OUT = frozenset(
    {
        ("mri", "aliasing"),
        ("mri", "susceptibility"),
        ("ct", "rings"),
        ("endoscopy", "motion"),
        ("endoscopy", "bubbles"),
        ("fundus", "defocus"),
        ("fundus", "colour"),
        ("histopathology", "compression"),
        ("histopathology", "spots"),
    }
)
"""Nine of the 24 cells: some degradations the base model knows from another modality, some from nowhere."""


@dataclass(frozen=True)
class StudyPlan:
    """What a study folder holds; the same plan gives the same bytes.

    Attributes:
        n_base: Images of the base model's training.
        n_pool: Images of the unlabelled pool.
        n_dev: Images on which failures are looked for.
        n_test: Images on which figures are reported.
        n_replay: Images mixed into training against forgetting.
        size: Height and width in pixels.
        seed: Chooses the sources; two seeds share none.
        left_out: Cells (modality, degradation) that the base model never sees.
        rare_ratio: The part of the pool that shows a left-out cell, 0..1.
        weak_ratio: The part of dev and of test that shows one, 0..1.
        clean_ratio: The part of every split that shows no degradation, 0..1.
    """

    n_base: int = 2000
    n_pool: int = 1500
    n_dev: int = 200
    n_test: int = 300
    n_replay: int = 400
    size: int = 96
    seed: int = 0
    left_out: frozenset[tuple[str, str]] = DEFAULT_LEFT_OUT
    rare_ratio: float = 0.1
    weak_ratio: float = 0.4
    clean_ratio: float = 0.25

    def __post_init__(self) -> None:
        """Refuse a plan that cannot be drawn."""
        for split, count in self.sizes.items():
            if not 0 <= count <= SOURCES_PER_SPLIT:
                raise InvalidArgument("Too few or too many images.", field=f"n_{split}", value=count)
        if self.seed < 0:
            raise InvalidArgument("A seed is not negative.", field="seed", value=self.seed)
        if self.size < SMALLEST_SIZE:
            remedy = f"use {SMALLEST_SIZE} or more"
            raise InvalidArgument("Images too small.", field="size", value=self.size, remedy=remedy)
        for name in ("rare_ratio", "weak_ratio", "clean_ratio"):
            if not 0.0 <= getattr(self, name) <= 1.0 - self.clean_ratio * (name != "clean_ratio"):
                remedy = "a left-out and the clean part together are at most 1"
                raise InvalidArgument("A part of a whole.", field=name, value=getattr(self, name), remedy=remedy)
        self._check_left_out()

    @property
    def sizes(self) -> Mapping[str, int]:
        """Images of each split."""
        counts = (self.n_base, self.n_pool, self.n_dev, self.n_test, self.n_replay)
        return MappingProxyType(dict(zip(SPLITS, counts, strict=True)))

    @property
    def enrichment(self) -> float | None:
        """How many times more common the left-out cells are in test than in the pool; None where either has none."""
        if not (self.n_left_out("test") and self.n_left_out("pool")):
            return None
        in_test, in_pool = self.n_left_out("test") / self.n_test, self.n_left_out("pool") / self.n_pool
        return round(in_test / in_pool, 3)

    def n_left_out(self, split: str) -> int:
        """Images of a split that show a left-out cell."""
        ratio = {"pool": self.rare_ratio, "dev": self.weak_ratio, "test": self.weak_ratio}.get(split, 0.0)
        return round(ratio * self.sizes[split]) if self.left_out else 0

    def n_clean(self, split: str) -> int:
        """Images of a split that show no degradation."""
        return min(round(self.clean_ratio * self.sizes[split]), self.sizes[split] - self.n_left_out(split))

    def first_source(self, split: str) -> int:
        """The lowest seed of a split; its images use this and the following ones."""
        return (self.seed * len(SPLITS) + SPLITS.index(split)) * SOURCES_PER_SPLIT

    def known_cells(self, modality: str) -> list[tuple[str, str]]:
        """The cells of a modality that are not left out, in the order of the registry."""
        cells = [(modality, name) for name in DEGRADATIONS[modality] if name != NONE]
        return [cell for cell in cells if cell not in self.left_out]

    def names_asked(self, modality: str, split: str) -> frozenset[str]:
        """Degradations that a split's questions may name although the image does not show them.

        In base and replay the left-out ones are not named at all: the base model is ignorant of them, and not trained
        to deny them.
        """
        if split in ("base", "replay"):
            return frozenset(name for _, name in self.known_cells(modality))
        return frozenset(DEGRADATIONS[modality])

    def describe(self) -> dict[str, Any]:
        """What `study.json` holds."""
        return {
            "simulated": "images are drawn phantoms; the oracle's and the expert's answers come from the plan",
            "seed": self.seed,
            "size_pixels": self.size,
            "clean_ratio": self.clean_ratio,
            "left_out": [list(cell) for cell in sorted(self.left_out)],
            "n_cells": sum(len(names) - 1 for names in DEGRADATIONS.values()),
            "enrichment_of_test_over_pool": self.enrichment,
            "splits": {
                split: {"n_images": count, "n_left_out": self.n_left_out(split), "n_clean": self.n_clean(split)}
                for split, count in self.sizes.items()
            },
        }

    def _check_left_out(self) -> None:
        """Refuse a cell that does not exist, and a modality with too little left."""
        for modality, name in sorted(self.left_out):
            if name == NONE or name not in DEGRADATIONS.get(modality, {}):
                raise InvalidArgument("No such cell.", field="left_out", value=f"{modality}/{name}")
            if len(self.known_cells(modality)) < FEWEST_KNOWN:
                remedy = f"leave at least {FEWEST_KNOWN} of its degradations known"
                raise InvalidArgument("Too many left out.", field="left_out", value=modality, remedy=remedy)
