"""The plan of a study: how many images each split has, which cells are left out or weak, and how rare they are in the pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from shared.errors import InvalidArgument
from studies.images.degradations import DEGRADATIONS, NONE
from studies.images.phantoms import SMALLEST_SIZE

SPLITS = ("base", "pool", "dev", "test", "replay")

TAUGHT = ("base", "replay")
"""Splits of what the base model is taught: no left-out cell, and of the weak ones little."""

SOURCES_PER_SPLIT = 10_000_000
"""The range of seeds that one split of one study may draw from; ranges never overlap."""

RESERVED_SEED = 18
"""Of no study: the encoder's axes and the severities were computed from phantoms in its range."""

FEWEST_KNOWN = 3
"""Known degradations that each modality keeps: a What question needs three wrong options, `none` among them."""

WEAK_RARITY = 10
"""In what the base model is taught, a weak cell is so many times rarer than another, and mild only."""

TAUGHT_CLEAN_RATIO = 0.2
"""The part of it that shows no degradation: more than in what is measured, since clean and mild are the hardest to tell."""

Cell = tuple[str, str]
"""A modality and a degradation."""

CELLS: tuple[Cell, ...] = tuple(
    (modality, name) for modality, names in DEGRADATIONS.items() for name in names if name != NONE
)
"""All of them, in the order of the registry."""

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
"""Some degradations the base model knows from another modality, some from nowhere."""


def draw_cells(seed: int, n_left_out: int = 8, n_weak: int = 3) -> tuple[frozenset[Cell], frozenset[Cell]]:
    """Which cells a study leaves out, and which are weak.

    Args:
        seed: Draws them, every cell with the same chance but for the next sentence.
        n_left_out: How many the base model never sees; each modality keeps `FEWEST_KNOWN` that it does.
        n_weak: How many of the others it sees seldom, and mild only.

    Returns: The left-out and the weak ones.
    """
    order = [CELLS[place] for place in np.random.default_rng([seed, 26]).permutation(len(CELLS))]
    left_out: list[Cell] = []
    for cell in order:
        n_known = len(DEGRADATIONS[cell[0]]) - 1 - sum(other[0] == cell[0] for other in left_out)
        if len(left_out) < n_left_out and n_known > FEWEST_KNOWN:
            left_out.append(cell)
    weak = [cell for cell in order if cell not in left_out][:n_weak]
    return frozenset(left_out), frozenset(weak)


@dataclass(frozen=True)
class Pool:
    """A pool: some of the images in the folder of the pools.

    Attributes:
        n_images: How many.
        left_out_ratio: The part that shows a left-out cell, 0..1; of the others `clean_ratio` of the plan are clean.
    """

    n_images: int
    left_out_ratio: float

    @property
    def n_left_out(self) -> int:
        """Images that show a left-out cell."""
        return round(self.left_out_ratio * self.n_images)


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
        left_out: Cells that the base model never sees.
        weak: Other cells of which it sees little.
        rare_ratio: The part of the pool that shows a left-out cell, 0..1.
        clean_ratio: The part of pool, dev and test that shows no degradation, 0..1.
        other_pools: Further pools by name, over the same folder of images.
    """

    n_base: int = 2000
    n_pool: int = 1500
    n_dev: int = 200
    n_test: int = 300
    n_replay: int = 400
    size: int = 96
    seed: int = 0
    left_out: frozenset[Cell] = DEFAULT_LEFT_OUT
    weak: frozenset[Cell] = frozenset()
    rare_ratio: float = 0.1
    clean_ratio: float = 0.1
    other_pools: tuple[tuple[str, Pool], ...] = ()

    def __post_init__(self) -> None:
        """Refuse a plan that cannot be drawn."""
        for split, count in self.sizes.items():
            if not 0 <= count <= SOURCES_PER_SPLIT:
                raise InvalidArgument("Too few or too many images.", field=f"n_{split}", value=count)
        if self.seed < 0:
            raise InvalidArgument("A seed is not negative.", field="seed", value=self.seed)
        if self.seed == RESERVED_SEED:
            message = "The encoder's axes and the severities were computed from phantoms of this seed."
            raise InvalidArgument(message, field="seed", value=self.seed, remedy="Take another one.")
        if self.size < SMALLEST_SIZE:
            remedy = f"use {SMALLEST_SIZE} or more"
            raise InvalidArgument("Images too small.", field="size", value=self.size, remedy=remedy)
        for name in ("rare_ratio", "clean_ratio"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InvalidArgument("A part of a whole.", field=name, value=getattr(self, name))
        self._check_cells()

    @property
    def pools(self) -> Mapping[str, Pool]:
        """Every pool by the name of its manifest, the study's own first."""
        own = Pool(self.n_pool, self.rare_ratio if self.left_out else 0.0)
        return MappingProxyType({"pool": own, **{f"pool-{name}": pool for name, pool in self.other_pools}})

    @property
    def sizes(self) -> Mapping[str, int]:
        """Images of each split; of the pools those that any of them has."""
        counts = (
            self.n_base,
            self.n_left_out("pool") + self._n_others_of_pools,
            self.n_dev,
            self.n_test,
            self.n_replay,
        )
        return MappingProxyType(dict(zip(SPLITS, counts, strict=True)))

    @property
    def enrichment(self) -> float | None:
        """How many times more common the left-out cells are in test than in the pool; None where either has none."""
        return self.enrichment_over(self.pools["pool"])

    def enrichment_over(self, pool: Pool) -> float | None:
        """The same for any pool."""
        if not (self.n_left_out("test") and pool.n_left_out):
            return None
        in_test, in_pool = self.n_left_out("test") / self.n_test, pool.n_left_out / pool.n_images
        return round(in_test / in_pool, 3)

    def n_left_out(self, split: str) -> int:
        """Images of a split that show a left-out cell: none in what is taught, in dev and test as many as of any other cell."""
        if split == "pool":
            return max(pool.n_left_out for pool in self.pools.values())
        count = {"dev": self.n_dev, "test": self.n_test}.get(split, 0)
        return round((1 - self.clean_ratio) * count * len(self.left_out) / len(CELLS))

    def n_clean(self, split: str) -> int:
        """Images of a split that show no degradation; in the pools a part of those that show no left-out cell."""
        if split in TAUGHT:
            return round(TAUGHT_CLEAN_RATIO * self.sizes[split])
        return round(self.clean_ratio * (self._n_others_of_pools if split == "pool" else self.sizes[split]))

    def first_source(self, split: str) -> int:
        """The lowest seed of a split; its images use this and the following ones."""
        return (self.seed * len(SPLITS) + SPLITS.index(split)) * SOURCES_PER_SPLIT

    def known_cells(self, modality: str) -> list[Cell]:
        """The cells of a modality that are not left out, in the order of the registry."""
        return [cell for cell in CELLS if cell[0] == modality and cell not in self.left_out]

    def names_asked(self, modality: str, split: str) -> frozenset[str]:
        """Degradations that a split's questions may name although the image does not show them.

        In what the base model is taught the left-out ones are not named: it is ignorant of them, and not trained to deny them.
        """
        if split in TAUGHT:
            return frozenset(name for _, name in self.known_cells(modality))
        return frozenset(DEGRADATIONS[modality])

    def describe(self) -> dict[str, Any]:
        """What `study.json` holds."""
        return {
            "simulated": "images are drawn phantoms; the oracle's and the expert's answers come from the plan",
            "seed": self.seed,
            "size_pixels": self.size,
            "left_out": [list(cell) for cell in sorted(self.left_out)],
            "weak": [list(cell) for cell in sorted(self.weak)],
            "n_cells": len(CELLS),
            "enrichment_of_test_over_pool": self.enrichment,
            "pools": {
                name: {
                    "n_images": pool.n_images,
                    "n_left_out": pool.n_left_out,
                    "enrichment_of_test": self.enrichment_over(pool),
                }
                for name, pool in self.pools.items()
            },
            "splits": {
                split: {"n_images": count, "n_left_out": self.n_left_out(split), "n_clean": self.n_clean(split)}
                for split, count in self.sizes.items()
            },
        }

    @property
    def _n_others_of_pools(self) -> int:
        """The most images of a pool that show no left-out cell."""
        return max(pool.n_images - pool.n_left_out for pool in self.pools.values())

    def _check_cells(self) -> None:
        """Refuse a cell that does not exist, one that is left out and weak, and a modality with too little left."""
        for field, cells in (("left_out", self.left_out), ("weak", self.weak)):
            for cell in sorted(cells):
                if cell not in CELLS or (field == "weak" and cell in self.left_out):
                    message = "No such cell, or it is left out."
                    raise InvalidArgument(message, field=field, value="/".join(cell))
        for modality in DEGRADATIONS:
            if len(self.known_cells(modality)) < FEWEST_KNOWN:
                remedy = f"leave at least {FEWEST_KNOWN} of its degradations known"
                raise InvalidArgument("Too many left out.", field="left_out", value=modality, remedy=remedy)
