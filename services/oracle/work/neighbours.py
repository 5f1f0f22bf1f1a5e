"""The dev images that experts compare a drawn image with, from the failures that its selection stands on."""

from __future__ import annotations

from functools import cache

from services.oracle.domain.neighbours import nearest_to_failures
from shared.objects.dataset import read_array, read_manifest, read_rows
from shared.objects.store import ObjectStore, uri_of
from shared.rows.failures import Anchor, PrototypeRow
from shared.rows.selection import Sample

Uris = tuple[str, ...]


class Neighbours:
    """Images near the failures that samples of one selection were drawn for.

    Args:
        objects: Where datasets lie.
        selection_uri: The selection; one without mined failures with their dev images has no neighbours.

    Raises:
        NotFound, InvalidArgument: As `shared.objects.dataset.read_rows`.
    """

    def __init__(self, objects: ObjectStore, selection_uri: str) -> None:
        parents = {
            uri: read_manifest(objects, uri) for uri in read_manifest(objects, selection_uri, "selection").parents
        }
        mined = [uri for uri, found in parents.items() if found.kind == "failures" and "anchors.jsonl" in found.files]
        self._anchors = [row for uri in mined[:1] for row in read_rows(objects, uri, Anchor)]
        self._vectors = read_array(objects, mined[0], "anchors.npy").astype("<f4") if mined else None
        rows = [row for uri in mined[:1] for row in read_rows(objects, uri, PrototypeRow)]
        self._members = {row.prototype_id: frozenset(row.image_ids) for row in rows}
        self._near = cache(self._nearest)

    def of(self, sample: Sample) -> tuple[Uris, Uris]:
        """URIs of images that never failed, and of failures, the nearest first; none for a sample drawn at random."""
        return self._near(sample.prototype_id, sample.capability)

    def _nearest(self, prototype_id: str, capability: str) -> tuple[Uris, Uris]:
        members = self._members.get(prototype_id, frozenset())
        failures, clean = [], []
        for row, anchor in enumerate(self._anchors):
            if anchor.is_failure is False:
                clean.append(row)
            elif anchor.is_failure and (
                anchor.image_id in members if prototype_id else capability in anchor.capabilities
            ):
                failures.append(row)
        if self._vectors is None:
            return (), ()
        found = nearest_to_failures(self._vectors, failures, clean)
        clean_uris, failed_uris = (tuple(uri_of(self._anchors[row].image_id) for row in rows) for rows in found)
        return clean_uris, failed_uris
