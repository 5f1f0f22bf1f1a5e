"""The index in this process: Qdrant's own engine over a folder (`qdrant-edge-py`). Implements `ports.VectorIndex`.

The folder has one owner; a second one is refused by the engine's lock. Updates go through the engine's write-ahead log, so a
killed process loses none. Vectors are kept as they are and compared by dot product, which is the cosine of unit vectors.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import numpy as np
import qdrant_edge as qdrant

from services.retrieval.ports import Hit, IndexedImage, Match, Vectors
from shared.errors import FailedPrecondition, InvalidArgument

_NAMESPACE = UUID("8f6f1c53-6c0e-5d0b-9a55-9a1d64f2a0c7")
#: What searches filter by; each costs 0.2 s and 25 MB when an index is made.
_INDEXED_FIELDS = ("split", "modality")
_AT_ONCE = 500
_MOST_SPLITS = 8
_FIRST_LIMIT = 1024
#: Points after which the write-ahead log is emptied into the segments, so that it stays short.
_FLUSH_EVERY = 20_000
#: The engine's scores may differ from numpy's in the last bit: it is asked for a little more, and the exact rule is applied here.
_MARGIN = 1e-5
_NORM_TOLERANCE = 1e-3


class QdrantEdgeIndex:
    """A `VectorIndex` in a folder.

    Args:
        folder: Its own; made when the first vectors come, which decide encoder and dimension.
        n_threads: Threads of one search.
    """

    def __init__(self, folder: Path, n_threads: int = 1) -> None:
        self._folder = folder
        self._n_threads = n_threads
        self._lock = threading.RLock()  # for creation and updates; searches run beside each other
        self._shard: Any = None
        self._encoder_id = ""
        self._dimension = 0
        self._n_unflushed = 0
        if self._space.exists():
            self._open(**json.loads(self._space.read_text()))

    @property
    def _space(self) -> Path:
        return self._folder / "space.json"

    def upsert(self, encoder_id: str, images: Sequence[IndexedImage], vectors: Vectors) -> None:
        """See the port."""
        if vectors.ndim != 2 or len(vectors) != len(images) or vectors.shape[1] == 0:
            raise InvalidArgument("one vector an image is needed", field="vectors", value=vectors.shape)
        if not len(images):
            return
        norms = np.linalg.norm(vectors, axis=1)
        if not np.all(np.abs(norms - 1.0) <= _NORM_TOLERANCE):  # NaN is refused too
            raise InvalidArgument("the rows are not of unit norm", field="vectors", value=float(norms[0]))
        with self._lock:
            self._require_space(encoder_id, vectors.shape[1])
            for start in range(0, len(images), _AT_ONCE):
                part = zip(images[start : start + _AT_ONCE], vectors[start : start + _AT_ONCE], strict=True)
                points = [
                    qdrant.Point(_point_id(i.image_id, i.split), v.tolist(), asdict(i)) for i, v in part
                ]
                self._shard.update(qdrant.UpdateOperation.upsert_points(points))
            self._n_unflushed += len(images)
            if self._n_unflushed >= _FLUSH_EVERY:
                self._flush()

    def missing(self, image_ids: Collection[str], split: str) -> set[str]:
        """See the port."""
        missing = set(image_ids)
        if self._shard is None:
            return missing
        for part in _parts(sorted(image_ids)):
            points = [_point_id(image_id, split) for image_id in part]
            found = self._shard.retrieve(points, with_payload=["image_id"], with_vector=False)
            missing -= {record.payload["image_id"] for record in found}
        return missing

    def find_near(self, prototypes: Vectors, tau: float, split: str) -> list[Match]:
        """See the port."""
        if self._shard is None or not len(prototypes):
            return []
        self._require_dimension(prototypes.shape[1])
        threshold = np.float32(tau)
        best: dict[str, Match] = {}
        for j, prototype in enumerate(prototypes):
            for image_id, similarity in self._all_above(prototype, tau - _MARGIN, split):
                is_nearer = image_id not in best or similarity > best[image_id].similarity
                if similarity > threshold and is_nearer:
                    best[image_id] = Match(image_id, j, similarity)
        return [best[image_id] for image_id in sorted(best)]

    def search(self, vector: Vectors, limit: int, *, modality: str = "", split: str = "") -> list[Hit]:
        """See the port."""
        if self._shard is None:
            return []
        self._require_dimension(vector.shape[0])
        request = qdrant.SearchRequest(
            qdrant.Query.Nearest(vector.tolist()),
            limit=limit if split else limit * _MOST_SPLITS,
            filter=_filter(split=split, modality=modality),
            with_payload=True,
        )
        hits: dict[str, Hit] = {}
        for point in self._shard.search(request):
            image = IndexedImage(**point.payload)
            hits.setdefault(image.image_id, Hit(image, point.score))
        return list(hits.values())[:limit]

    def count_by_split(self) -> dict[str, int]:
        """See the port."""
        if self._shard is None:
            return {}
        facet = self._shard.facet(qdrant.FacetRequest("split", limit=_MOST_SPLITS, exact=True))
        return {str(hit.value): hit.count for hit in sorted(facet.hits, key=lambda hit: str(hit.value))}

    def optimize(self) -> None:
        """See the port: graphs of segments that have grown large."""
        with self._lock:
            if self._shard is not None:
                self._shard.optimize()
                self._flush()

    def close(self) -> None:
        """See the port."""
        with self._lock:
            if self._shard is not None:
                self._shard.flush()
                self._shard.close()
                self._shard = None

    def _flush(self) -> None:
        self._shard.flush()
        self._n_unflushed = 0

    def _all_above(self, vector: Vectors, threshold: float, split: str) -> list[tuple[str, float]]:
        """Every image above a threshold, by exact search.

        The engine sorts as many places as it is asked for before it applies the threshold, so few are asked for first.
        """
        limit = _FIRST_LIMIT
        while True:
            request = qdrant.SearchRequest(
                qdrant.Query.Nearest(vector.tolist()),
                limit=limit,
                filter=_filter(split=split),
                params=qdrant.SearchParams(exact=True),
                with_payload=["image_id"],
                score_threshold=threshold,
            )
            points = self._shard.search(request)
            if len(points) < limit:
                return [(point.payload["image_id"], point.score) for point in points]
            limit *= 8

    def _require_space(self, encoder_id: str, dimension: int) -> None:
        if self._shard is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            partial = self._space.with_suffix(".partial")
            partial.write_text(json.dumps({"dimension": dimension, "encoder_id": encoder_id}, sort_keys=True))
            partial.replace(self._space)
            self._open(dimension, encoder_id)
        if encoder_id != self._encoder_id:
            raise FailedPrecondition(
                "The index holds vectors of another encoder.",
                field="encoder_id",
                value=encoder_id,
                remedy=f"Use {self._encoder_id}, or start with an empty index folder.",
            )
        self._require_dimension(dimension)

    def _require_dimension(self, dimension: int) -> None:
        if dimension != self._dimension:
            remedy = f"Embed with {self._encoder_id}, which gives {self._dimension}."
            raise InvalidArgument(
                "The index has another dimension.", field="vector", value=dimension, remedy=remedy
            )

    def _open(self, dimension: int, encoder_id: str) -> None:
        path = self._folder / "shard"
        config = qdrant.EdgeConfig(
            vectors=qdrant.EdgeVectorParams(size=dimension, distance=qdrant.Distance.Dot),
            max_search_threads=self._n_threads,
        )
        if (path / "edge_config.json").exists():
            self._shard = qdrant.EdgeShard.load(str(path), config)
        else:
            path.mkdir(exist_ok=True)
            self._shard = qdrant.EdgeShard.create(str(path), config)
        for field in _INDEXED_FIELDS:  # made again without effect where it is there
            operation = qdrant.UpdateOperation.create_field_index(field, qdrant.PayloadSchemaType.Keyword)
            self._shard.update(operation)
        self._encoder_id, self._dimension = encoder_id, dimension


def _point_id(image_id: str, split: str) -> str:
    return str(uuid5(_NAMESPACE, f"{image_id}/{split}"))


def _filter(**fields: str) -> Any:
    """Conditions on the fields that are not empty; None where all are."""
    conditions: list[Any] = [
        qdrant.FieldCondition(name, match=qdrant.MatchValue(value)) for name, value in fields.items() if value
    ]
    return qdrant.Filter(must=conditions) if conditions else None


def _parts(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]
