"""Which of the eligible images are found, and by what: all of them, by prototypes (Eq. 2), by contrast, or by a score."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import compress
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from services.retrieval.domain.contrast import cells_of, failure_contrast
from services.retrieval.domain.nearest import nearest
from services.retrieval.domain.similarity import Match, tau_of_share
from services.retrieval.ports import Vectors
from services.retrieval.work.failures import Anchors, Failures
from shared.rows.selection import Found


class Measure(StrEnum):
    """What was measured of each image."""

    NONE = ""
    SIMILARITY = "similarity"
    CONTRAST = "contrast"
    NOVELTY = "novelty"
    DISTANCE = "distance"
    ENTROPY = "entropy"


#: Why an image was not found, by the measure that decides about it.
WHY_NOT_FOUND = {Measure.SIMILARITY: "not_similar", Measure.CONTRAST: "no_contrast"}
#: Measures by which images are drawn whatever fails.
SCORES = frozenset({Measure.NOVELTY, Measure.DISTANCE, Measure.ENTROPY})


@dataclass(frozen=True, eq=False)
class Finds:
    """What was found.

    Attributes:
        ids: (n,) image ids, sorted, each once.
        finder: (n,) int64 what found each, a row of `names`.
        values: (n,) float64 what `measure` says.
        names, profiles: Of the prototypes or the cells: what each is called, and capability to share.
        measure: What the values are.
        tau_sim: The threshold in effect; None where none is.
        missed: How many eligible images have no value, by reason.
    """

    ids: list[str]
    finder: NDArray[np.int64]
    values: NDArray[np.float64]
    names: list[str]
    profiles: list[dict[str, float]]
    measure: Measure
    tau_sim: float | None = None
    missed: Mapping[str, int] = field(default_factory=dict)

    def counted(self, drawn: NDArray[np.int64]) -> tuple[Found, ...]:
        """What each of the names found, and how many of the `drawn` rows; most first, then by name."""
        n_found = np.bincount(self.finder, minlength=len(self.names))
        n_drawn = np.bincount(self.finder[drawn], minlength=len(self.names))
        total = np.bincount(self.finder, weights=self.values, minlength=len(self.names))
        found = [
            Found(
                name=name, n_found=int(n_found[i]), n_drawn=int(n_drawn[i]), mean=round(float(total[i] / n_found[i]), 6)
            )
            for i, name in enumerate(self.names)
            if n_found[i]
        ]
        return tuple(sorted(found, key=lambda row: (-row.n_found, row.name)))


def find_all(eligible: Collection[str]) -> Finds:
    """Every image, by nothing."""
    return Finds(
        sorted(eligible), np.zeros(len(eligible), dtype=np.int64), np.zeros(len(eligible)), [], [], Measure.NONE
    )


def found_by_score(
    ids: list[str], values: NDArray[np.float64], measure: Measure, missed: Mapping[str, int] = MappingProxyType({})
) -> Finds:
    """Images with a score, sorted by id; `missed` have none."""
    finder = np.zeros(len(ids), dtype=np.int64)
    return Finds(ids, finder, values, [measure.value], [{}], measure, missed=missed)


def found_by_prototypes(matches: Sequence[Match], failures: Failures, tau_sim: float) -> Finds:
    """The matches of Eq. 2, sorted by image id."""
    return Finds(
        [match.image_id for match in matches],
        np.array([match.prototype for match in matches], dtype=np.int64),
        np.array([match.similarity for match in matches], dtype=np.float64),
        failures.prototype_ids,
        failures.profiles,
        Measure.SIMILARITY,
        tau_sim,
    )


def find_share(
    sets: Iterable[tuple[Sequence[str], Vectors]], eligible: Collection[str], failures: Failures, share: float
) -> Finds:
    """Eq. 2 with the threshold at which at most this share of the eligible images lies in some neighbourhood.

    Args:
        sets: Image ids and their vectors, as `map_vectors` gives them; of an image that comes twice the last vector counts.
        eligible: The images that may be found.
        failures: What they may be near to.
        share: In (0, 1].
    """
    names: list[str] = []
    cosines, prototypes = [np.zeros(0, np.float32)], [np.zeros(0, np.int64)]
    for ids, vectors in sets:
        best, rows = nearest(vectors, failures.vectors, 1)
        is_eligible = np.fromiter((image_id in eligible for image_id in ids), dtype=np.bool_, count=len(ids))
        names += compress(ids, is_eligible)
        cosines.append(best[is_eligible, 0])
        prototypes.append(rows[is_eligible, 0])
    place = {name: row for row, name in enumerate(names)}
    last = np.fromiter(place.values(), dtype=np.int64, count=len(place))
    cosine, prototype = np.concatenate(cosines)[last], np.concatenate(prototypes)[last]
    tau = tau_of_share(cosine, share) if len(cosine) else 1.0
    found = list(place)
    near = sorted(np.flatnonzero(cosine > np.float32(tau)).tolist(), key=found.__getitem__)
    return Finds(
        [found[row] for row in near],
        prototype[near],
        cosine[near].astype(np.float64),
        failures.prototype_ids,
        failures.profiles,
        Measure.SIMILARITY,
        tau,
    )


def find_by_contrast(
    sets: Iterable[tuple[Sequence[str], Vectors]],
    eligible: Collection[str],
    anchors: Anchors,
    cells: Sequence[str],
    neighbours: int,
) -> Finds:
    """The images nearer to failures than to successes, each by the cell of its nearest failures."""
    found: dict[str, tuple[int, float]] = {}
    for ids, vectors in sets:
        contrast = failure_contrast(vectors, anchors.failed, anchors.never_failed, neighbours)
        rows = [row for row in np.flatnonzero(contrast.value > 0).tolist() if ids[row] in eligible]
        places = cells_of(contrast.failures[rows], anchors.failed_cells, cells)
        found.update(
            (ids[row], (place, float(contrast.value[row])))
            for row, place in zip(rows, places.tolist(), strict=True)
            if place >= 0
        )
    ids = sorted(found)
    return Finds(
        ids,
        np.array([found[image_id][0] for image_id in ids], dtype=np.int64),
        np.array([found[image_id][1] for image_id in ids], dtype=np.float64),
        list(cells),
        [{cell: 1.0} for cell in cells],
        Measure.CONTRAST,
    )


def why_no_contrast(anchors: Anchors, neighbours: int, strategy: str, instead: str) -> str:
    """Why there is no contrast for a strategy, and what is done instead; "" where there is one."""
    n_failed, n_others = len(anchors.failed), len(anchors.never_failed)
    if min(n_failed, n_others) >= neighbours:
        return ""
    needed = f"{strategy} needs {neighbours} dev images that failed and {neighbours} that never failed"
    return f"{needed}; there are {n_failed} and {n_others}, so images are drawn by {instead}"
