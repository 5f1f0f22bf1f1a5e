"""The index in this process: Qdrant's own engine over a folder (`qdrant-edge-py`). Implements `ports.VectorIndex`.

The folder has one owner; a second one is refused by the engine's lock. Updates go through the engine's write-ahead log, so a
killed process loses none. Vectors are kept as they are and compared by dot product, which is the cosine of unit vectors.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import qdrant_edge as qdrant

from services.retrieval.adapters.points import (
    AT_ONCE,
    FIRST_LIMIT,
    INDEXED_FIELDS,
    MOST_SPLITS,
    SCORE_MARGIN,
    Space,
    candidates,
    hits,
    parts,
    point_id,
    require_unit_rows,
)
from services.retrieval.domain.similarity import Match, neighbourhood
from services.retrieval.ports import Hit, IndexedImage, Vectors
from shared.errors import Unavailable
from shared.synced import put_in_place

#: Points after which the write-ahead log is emptied into the segments, so that it stays short.
_FLUSH_EVERY = 20_000
#: The engine maps sparse files into memory, some 150 MiB of them in a new index, and where the disk is full the kernel ends a
#: process that writes to one. So there is room for them, and for what a piece of images adds.
_LEAST_FREE_BYTES = 512 << 20
#: Vectors are searched by one byte a number, which takes half of the time; of what is found, twice as many as are asked for
#: are compared anew as they are. An exact search reads no bytes.
_RESCORED = qdrant.QuantizationSearchParams(rescore=True, oversampling=2.0)
#: One graph answers in a fraction of the time that several do. So all that is there at first is one segment; what comes later is
#: a second one, and is not merged into it (KiB).
_N_SEGMENTS, _SEGMENT_KIB = 2, 64 << 20
_SPACE_FILE = "space.json"


class QdrantEdgeIndexes:
    """`VectorIndexes` in folders, one an encoder: `indexes/<encoder id>`.

    Args:
        folder: Where `indexes` lies. A release that knew one encoder kept its index in `index`; it gets its place there.
        n_threads: Threads of one search.
    """

    def __init__(self, folder: Path, n_threads: int = 1) -> None:
        self._folder = folder / "indexes"
        self._n_threads = n_threads
        older = folder / "index"
        if (older / _SPACE_FILE).exists():
            self._folder.mkdir(exist_ok=True)
            put_in_place(older, self._folder / _read_space(older).encoder_id)

    def open(self, encoder_id: str) -> QdrantEdgeIndex:
        """See the port."""
        return QdrantEdgeIndex(self._folder / encoder_id, self._n_threads)

    def encoder_ids(self) -> list[str]:
        """See the port."""
        return sorted(file.parent.name for file in self._folder.glob(f"*/{_SPACE_FILE}"))

    def close(self) -> None:
        """See the port."""


def _read_space(folder: Path) -> Space:
    return Space(**json.loads((folder / _SPACE_FILE).read_text()))


class QdrantEdgeIndex:
    """A `VectorIndex` in a folder.

    Args:
        folder: Its own; made when the first vectors come, which decide encoder and dimension.
        n_threads: Threads of one search.
        least_free_bytes: Nothing is opened or added where the disk has less.

    Raises:
        Unavailable: It has.
    """

    def __init__(self, folder: Path, n_threads: int = 1, least_free_bytes: int = _LEAST_FREE_BYTES) -> None:
        self._folder = folder
        self._n_threads = n_threads
        self._least_free_bytes = least_free_bytes
        self._lock = threading.RLock()  # for creation and updates; searches run beside each other
        self._shard: Any = None
        self._space = Space(0, "")
        self._n_unflushed = 0
        if self._space_file.exists():
            self._open(_read_space(folder))

    @property
    def _space_file(self) -> Path:
        return self._folder / _SPACE_FILE

    def upsert(self, encoder_id: str, images: Sequence[IndexedImage], vectors: Vectors) -> None:
        """See the port."""
        require_unit_rows(images, vectors)
        if not len(images):
            return
        with self._lock:
            self._require_space(encoder_id, vectors.shape[1])
            for start in range(0, len(images), AT_ONCE):
                self._require_space_on_disk()
                part = zip(images[start : start + AT_ONCE], vectors[start : start + AT_ONCE], strict=True)
                points = [qdrant.Point(point_id(i.image_id, i.split), v.tolist(), asdict(i)) for i, v in part]
                self._shard.update(qdrant.UpdateOperation.upsert_points(points))
            self._n_unflushed += len(images)
            if self._n_unflushed >= _FLUSH_EVERY:
                self._flush()

    def missing(self, image_ids: Collection[str], split: str) -> set[str]:
        """See the port."""
        missing = set(image_ids)
        if self._shard is None:
            return missing
        for part in parts(sorted(image_ids)):
            points = [point_id(image_id, split) for image_id in part]
            found = self._shard.retrieve(points, with_payload=["image_id"], with_vector=False)
            missing -= {record.payload["image_id"] for record in found}
        return missing

    def find_near(self, prototypes: Vectors, tau: float, split: str) -> list[Match]:
        """See the port."""
        if self._shard is None or not len(prototypes):
            return []
        self._space.require_dimension(prototypes.shape[1])
        found = (
            (j, image_id, similarity)
            for j, prototype in enumerate(prototypes)
            for image_id, similarity in self._all_above(prototype, tau - SCORE_MARGIN, split)
        )
        return neighbourhood(found, tau)

    def search(self, vector: Vectors, limit: int, *, modality: str = "", split: str = "") -> list[Hit]:
        """See the port."""
        if self._shard is None:
            return []
        self._space.require_dimension(vector.shape[0])
        asked = limit
        while True:
            request = qdrant.SearchRequest(
                qdrant.Query.Nearest(vector.tolist()),
                limit=asked,
                filter=_filter(split=split, modality=modality),
                params=qdrant.SearchParams(hnsw_ef=candidates(modality), quantization=_RESCORED),
                with_payload=True,
            )
            found = self._shard.search(request)
            near = hits(((point.payload, point.score) for point in found), limit)
            # An image of several splits stands there several times: seldom, so that only then more are asked for.
            if len(near) == limit or len(found) < asked or asked > limit:
                return near
            asked = limit * MOST_SPLITS

    def count_by_split(self) -> dict[str, int]:
        """See the port."""
        if self._shard is None:
            return {}
        facet = self._shard.facet(qdrant.FacetRequest("split", limit=MOST_SPLITS, exact=True))
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
        limit = FIRST_LIMIT
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
            space = Space(dimension, encoder_id)
            partial = self._space_file.with_suffix(".partial")
            partial.write_text(json.dumps(asdict(space), sort_keys=True))
            put_in_place(partial, self._space_file)
            self._open(space)
        self._space.require_encoder(encoder_id, fresh="an empty index folder")
        self._space.require_dimension(dimension)

    def _require_space_on_disk(self) -> None:
        if shutil.disk_usage(self._folder).free < self._least_free_bytes:
            raise Unavailable(
                f"The disk of the index has less than {self._least_free_bytes >> 20} MiB free.",
                field="state_folder",
                value=self._folder,
                remedy="Free space there; what waits for it goes on.",
            )

    def _open(self, space: Space) -> None:
        self._require_space_on_disk()
        path = self._folder / "shard"
        config = qdrant.EdgeConfig(
            vectors=qdrant.EdgeVectorParams(size=space.dimension, distance=qdrant.Distance.Dot),
            quantization_config=qdrant.ScalarQuantizationConfig(qdrant.ScalarType.Int8, memory=qdrant.Memory.Pinned),
            optimizers=qdrant.EdgeOptimizersConfig(default_segment_number=_N_SEGMENTS, max_segment_size=_SEGMENT_KIB),
            max_search_threads=self._n_threads,
        )
        if (path / "edge_config.json").exists():
            self._shard = qdrant.EdgeShard.load(str(path), config)
        else:
            path.mkdir(exist_ok=True)
            self._shard = qdrant.EdgeShard.create(str(path), config)
        for field in INDEXED_FIELDS:  # made again without effect where it is there
            operation = qdrant.UpdateOperation.create_field_index(field, qdrant.PayloadSchemaType.Keyword)
            self._shard.update(operation)
        self._space = space


def _filter(**fields: str) -> Any:
    """Conditions on the fields that are not empty; None where all are."""
    conditions: list[Any] = [
        qdrant.FieldCondition(name, match=qdrant.MatchValue(value)) for name, value in fields.items() if value
    ]
    return qdrant.Filter(must=conditions) if conditions else None
