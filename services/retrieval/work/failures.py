"""Mined failures as retrieval reads them: prototypes, error rates by cell, and the development images on which they rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from services.retrieval.domain.contrast import shuffled_failures
from services.retrieval.ports import Vectors
from shared.errors import DataLoss
from shared.objects.dataset import read_array, read_manifest, read_rows
from shared.objects.store import ObjectStore
from shared.rows.failures import Anchor, CapabilityErrorRate, PrototypeRow


@dataclass(frozen=True, eq=False)
class Failures:
    """Mined failures: prototypes (p, d) with their ids and profiles, and e_k by the cells that are drawn for (Eq. 1)."""

    vectors: Vectors
    prototype_ids: list[str]
    profiles: list[dict[str, float]]
    error_rates: dict[str, float]


NO_FAILURES = Failures(np.zeros((0, 1), dtype=np.float32), [], [], {})


@dataclass(frozen=True, eq=False)
class Anchors:
    """Evaluated dev images: (f, d) that failed, with their failed items by cell, and (s, d) that never failed."""

    failed: Vectors
    never_failed: Vectors
    failed_cells: list[Mapping[str, int]]

    def shuffled(self, rng: np.random.Generator) -> Anchors:
        """The same dev images and cells, where chance says which images failed."""
        return Anchors(*shuffled_failures(self.failed, self.never_failed, rng), self.failed_cells)


def read_failures(objects: ObjectStore, uri: str) -> Failures:
    """Prototypes and error rates.

    Raises:
        NotFound: There is no such dataset.
        InvalidArgument: It is of another kind.
    """
    prototypes = read_rows(objects, uri, PrototypeRow)
    rates = read_rows(objects, uri, CapabilityErrorRate)
    return Failures(
        read_array(objects, uri, "prototypes.npy").astype("<f4"),
        [row.prototype_id for row in prototypes],
        [row.profile for row in prototypes],
        {row.capability: row.error_rate for row in rates if row.is_drawn_for and row.error_rate is not None},
    )


def read_anchors(objects: ObjectStore, uri: str) -> Anchors:
    """The dev images that failed and that never failed; none of either in failures that an older release mined.

    Raises:
        NotFound, InvalidArgument: As `read_failures`.
        DataLoss: Rows and vectors do not match.
    """
    if "anchors.jsonl" not in read_manifest(objects, uri, "failures").files:
        return Anchors(np.zeros((0, 1), np.float32), np.zeros((0, 1), np.float32), [])
    rows, vectors = read_rows(objects, uri, Anchor), read_array(objects, uri, "anchors.npy").astype("<f4")
    if vectors.ndim != 2 or len(vectors) != len(rows):
        raise DataLoss("The failures have not one vector a dev image.", field="failures_uri", value=uri)
    return Anchors(
        vectors[[row.is_failure is True for row in rows]],
        vectors[[row.is_failure is False for row in rows]],
        [row.capabilities for row in rows if row.is_failure],
    )
