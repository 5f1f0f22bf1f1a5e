"""The index on a Qdrant server or cluster, over gRPC (Qdrant 1.16 or newer). Implements `ports.VectorIndex`.

One collection, made by whoever upserts first: its metadata name the encoder, and its payload indexes are there before the first
point. Vectors are compared by dot product, which is the cosine of unit vectors. Interactive search walks the graph over bytes
and scores the candidates anew with the vectors themselves; the exact search of Eq. 2 looks at every vector.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict

from qdrant_client import QdrantClient, models

from services.retrieval.adapters.points import (
    AT_ONCE,
    FIRST_LIMIT,
    MOST_SPLITS,
    SCORE_MARGIN,
    Space,
    candidates,
    hits,
    parts,
    point_id,
    require_unit_rows,
)
from services.retrieval.adapters.qdrant_collection import QdrantCollection, encoder_of
from services.retrieval.adapters.qdrant_connection import typed_errors
from services.retrieval.domain.similarity import Match, neighbourhood
from services.retrieval.ports import Hit, IndexedImage, Vectors
from services.retrieval.settings import QdrantSection

#: Points that the answers to one batch of exact queries may hold together.
_MOST_PLACES = 65_536
_EXACT = models.SearchParams(exact=True, quantization=models.QuantizationSearchParams(ignore=True))
_RESCORED = models.QuantizationSearchParams(rescore=True, oversampling=2.0)


class QdrantServerIndexes:
    """`VectorIndexes` in collections, one an encoder: `<index.collection>-<encoder id>`.

    A release that knew one encoder used `index.collection` itself; it stays the collection of its encoder.

    Args:
        client: See `qdrant_connection.connect`; closed with the indexes.
        settings: How collections are made and what their names begin with.
    """

    def __init__(self, client: QdrantClient, settings: QdrantSection) -> None:
        self._client = client
        self._settings = settings

    def open(self, encoder_id: str) -> QdrantServerIndex:
        """See the port."""
        own = f"{self._settings.collection}-{encoder_id}"
        name = next((name for name, known in self._collections().items() if known == encoder_id), own)
        return QdrantServerIndex(self._client, self._settings.model_copy(update={"collection": name}))

    def encoder_ids(self) -> list[str]:
        """See the port."""
        return sorted(self._collections().values())

    def close(self) -> None:
        """See the port."""
        self._client.close()

    def _collections(self) -> dict[str, str]:
        """Name to encoder of the collections that are ours: named by it, or as an older release named its only one."""
        first, found = self._settings.collection, {}
        with typed_errors(self._settings):
            for one in self._client.get_collections().collections:
                if one.name == first or one.name.startswith(f"{first}-"):
                    encoder_id = encoder_of(self._client, one.name)
                    if one.name in (first, f"{first}-{encoder_id}"):
                        found[one.name] = encoder_id
        return found


class QdrantServerIndex:
    """A `VectorIndex` in a collection.

    Args:
        client: See `qdrant_connection.connect`; closed with the index.
        settings: Collection, shards and replicas.
    """

    def __init__(self, client: QdrantClient, settings: QdrantSection) -> None:
        self._client = client
        self._settings = settings
        self._name = settings.collection
        self._collection = QdrantCollection(client, settings)
        # more than half have written what counts as written, so what more than half hold is what the next call has to see
        is_replicated = settings.replication > 1
        self._consistency = models.ReadConsistencyType.QUORUM if is_replicated else None
        self._ordering = models.WriteOrdering.MEDIUM if is_replicated else None  # one leader: replicas agree

    def upsert(self, encoder_id: str, images: Sequence[IndexedImage], vectors: Vectors) -> None:
        """See the port."""
        require_unit_rows(images, vectors)
        if not len(images):
            return
        with typed_errors(self._settings):
            space = self._collection.prepare(Space(vectors.shape[1], encoder_id))
            space.require_encoder(encoder_id, fresh="another index.collection")
            space.require_dimension(vectors.shape[1])
            for start in range(0, len(images), AT_ONCE):
                part = zip(images[start : start + AT_ONCE], vectors[start : start + AT_ONCE], strict=True)
                points = [
                    models.PointStruct(id=point_id(i.image_id, i.split), vector=v.tolist(), payload=asdict(i))
                    for i, v in part
                ]
                self._client.upsert(self._name, points, wait=True, ordering=self._ordering)

    def missing(self, image_ids: Collection[str], split: str) -> set[str]:
        """See the port."""
        missing = {point_id(image_id, split): image_id for image_id in image_ids}
        with typed_errors(self._settings):
            if self._collection.space() is not None:
                for part in parts(sorted(missing)):
                    found = self._client.retrieve(self._name, part, with_payload=False, consistency=self._consistency)
                    for record in found:
                        missing.pop(str(record.id), None)
        return set(missing.values())

    def find_near(self, prototypes: Vectors, tau: float, split: str) -> list[Match]:
        """See the port."""
        with typed_errors(self._settings):
            space = self._collection.space()
            if space is None or not len(prototypes):
                return []
            space.require_dimension(prototypes.shape[1])
            above = self._all_above(prototypes, tau - SCORE_MARGIN, split)
            found = ((j, (point.payload or {})["image_id"], point.score) for j in sorted(above) for point in above[j])
            return neighbourhood(found, tau)

    def search(self, vector: Vectors, limit: int, *, modality: str = "", split: str = "") -> list[Hit]:
        """See the port."""
        with typed_errors(self._settings):
            space = self._collection.space()
            if space is None:
                return []
            space.require_dimension(vector.shape[0])
            answer = self._client.query_points(
                self._name,
                query=vector.tolist(),
                limit=limit if split else limit * MOST_SPLITS,
                query_filter=_filter(split=split, modality=modality),
                search_params=models.SearchParams(hnsw_ef=candidates(modality), quantization=_RESCORED),
                with_payload=True,
                consistency=self._consistency,
            )
        return hits(((point.payload or {}, point.score) for point in answer.points), limit)

    def count_by_split(self) -> dict[str, int]:
        """See the port."""
        with typed_errors(self._settings):
            if self._collection.space() is None:
                return {}
            facet = self._client.facet(
                self._name, "split", limit=MOST_SPLITS, exact=True, consistency=self._consistency
            )
        return {str(hit.value): hit.count for hit in sorted(facet.hits, key=lambda hit: str(hit.value))}

    def optimize(self) -> None:
        """See the port: the server builds graphs by itself, and is waited for."""
        with typed_errors(self._settings):
            if self._collection.space() is not None:
                self._collection.await_green()

    def close(self) -> None:
        """See the port."""
        self._client.close()

    def _all_above(self, vectors: Vectors, threshold: float, split: str) -> dict[int, list[models.ScoredPoint]]:
        """Every image of the split above a threshold, by exact search: row of `vectors` to points.

        The server sorts as many places as it is asked for before it applies the threshold, so few are asked for first. A
        neighbourhood that fills them is asked for again whole: pages by offset might miss one of two equal scores.
        """
        complete: dict[int, list[models.ScoredPoint]] = {}
        limit, waiting = FIRST_LIMIT, list(range(len(vectors)))
        while waiting:
            full = []
            at_once = max(1, _MOST_PLACES // limit)
            for start in range(0, len(waiting), at_once):
                rows = waiting[start : start + at_once]
                requests = [_exact_query(vectors[j], limit, threshold, split) for j in rows]
                answers = self._client.query_batch_points(self._name, requests, consistency=self._consistency)
                for j, answer in zip(rows, answers, strict=True):
                    if len(answer.points) < limit:
                        complete[j] = answer.points
                    else:
                        full.append(j)
            limit, waiting = limit * 8, full
        return complete


def _exact_query(vector: Vectors, limit: int, threshold: float, split: str) -> models.QueryRequest:
    return models.QueryRequest(
        query=vector.tolist(),
        limit=limit,
        filter=_filter(split=split),
        params=_EXACT,
        score_threshold=threshold,
        with_payload=["image_id"],
    )


def _filter(**fields: str) -> models.Filter | None:
    """Conditions on the fields that are not empty; None where all are."""
    conditions: list[models.Condition] = [
        models.FieldCondition(key=name, match=models.MatchValue(value=value)) for name, value in fields.items() if value
    ]
    return models.Filter(must=conditions) if conditions else None
