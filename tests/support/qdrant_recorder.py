"""A gRPC server with Qdrant's own protos that notes every call, and answers it as Qdrant does, from memory and by brute force."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from qdrant_client import grpc as qdrant


@dataclass
class Calls:
    """What was asked, and what is to go wrong.

    Attributes:
        made: (method, request, metadata), in order.
        failures: method to the codes that its next calls end with.
        statuses: What the collection says it is, the last one for ever.
    """

    made: list[tuple[str, Any, dict[str, str]]] = field(default_factory=list)
    failures: dict[str, list[grpc.StatusCode]] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=lambda: [qdrant.Green])

    def names(self) -> list[str]:
        """The methods, in order."""
        return [name for name, _, _ in self.made]

    def of(self, method: str) -> list[Any]:
        """The requests of a method, in order."""
        return [request for name, request, _ in self.made if name == method]


class _Noted(grpc.ServerInterceptor):
    """Notes each call before it is answered, and fails those that are to fail."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        handler = continuation(details)
        name = details.method.removeprefix("/qdrant.")
        metadata = {str(key): str(value) for key, value in details.invocation_metadata}

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            self._calls.made.append((name, request, metadata))
            failures = self._calls.failures.get(name)
            if failures:
                context.abort(failures.pop(0), "on purpose")
            return handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(answer, handler.request_deserializer, handler.response_serializer)


class _Collections(qdrant.CollectionsServicer):
    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.known: dict[str, qdrant.CreateCollection] = {}

    def CollectionExists(self, request: Any, context: Any) -> Any:
        exists = qdrant.CollectionExists(exists=request.collection_name in self.known)
        return qdrant.CollectionExistsResponse(result=exists)

    def List(self, request: Any, context: Any) -> Any:
        known = [qdrant.CollectionDescription(name=name) for name in self.known]
        return qdrant.ListCollectionsResponse(collections=known)

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        if request.collection_name in self.known:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, "it is there")
        self.known[request.collection_name] = request
        return qdrant.CollectionOperationResponse(result=True)

    def Update(self, request: Any, context: Any) -> Any:
        return qdrant.CollectionOperationResponse(result=True)

    def Get(self, request: Any, context: grpc.ServicerContext) -> Any:
        made = self.known.get(request.collection_name)
        if made is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such collection")
        statuses = self._calls.statuses
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        params = qdrant.CollectionParams(shard_number=made.shard_number, vectors_config=made.vectors_config)
        config = qdrant.CollectionConfig(
            params=params,
            hnsw_config=qdrant.HnswConfigDiff(m=16, ef_construct=100, full_scan_threshold=10_000),
            optimizer_config=qdrant.OptimizersConfigDiff(
                deleted_threshold=0.2, vacuum_min_vector_number=1000, default_segment_number=0, flush_interval_sec=5
            ),
            wal_config=qdrant.WalConfigDiff(wal_capacity_mb=32, wal_segments_ahead=0),
            metadata=made.metadata,
        )
        info = qdrant.CollectionInfo(status=status, optimizer_status=qdrant.OptimizerStatus(ok=True), config=config)
        return qdrant.GetCollectionInfoResponse(result=info)


class _Points(qdrant.PointsServicer):
    def __init__(self) -> None:
        self._points: dict[str, dict[str, tuple[dict[str, str], np.ndarray]]] = defaultdict(dict)

    def CreateFieldIndex(self, request: Any, context: Any) -> Any:
        return _done()

    def Upsert(self, request: Any, context: Any) -> Any:
        for point in request.points:
            payload = {key: value.string_value for key, value in point.payload.items()}
            vector = np.array(point.vectors.vector.dense.data or point.vectors.vector.data, dtype=np.float32)
            self._points[request.collection_name][point.id.uuid] = (payload, vector)
        return _done()

    def Get(self, request: Any, context: Any) -> Any:
        known = self._points[request.collection_name]
        found = [qdrant.RetrievedPoint(id=one) for one in request.ids if one.uuid in known]
        return qdrant.GetResponse(result=found)

    def Facet(self, request: Any, context: Any) -> Any:
        values = [payload[request.key] for payload, _ in self._points[request.collection_name].values()]
        hits = [
            qdrant.FacetHit(value=qdrant.FacetValue(string_value=value), count=values.count(value))
            for value in set(values)
        ]
        return qdrant.FacetResponse(hits=hits)

    def Query(self, request: Any, context: Any) -> Any:
        return qdrant.QueryResponse(result=self._nearest(request))

    def QueryBatch(self, request: Any, context: Any) -> Any:
        results = [qdrant.BatchResult(result=self._nearest(one)) for one in request.query_points]
        return qdrant.QueryBatchResponse(result=results)

    def _nearest(self, request: Any) -> Sequence[Any]:
        wanted = {one.field.key: one.field.match.keyword for one in request.filter.must}
        points = self._points[request.collection_name]
        names = [
            name for name, (payload, _) in points.items() if all(payload[key] == value for key, value in wanted.items())
        ]
        if not names:
            return []
        query = np.array(request.query.nearest.dense.data, dtype=np.float32)
        scores = np.stack([points[name][1] for name in names]) @ query
        threshold = request.score_threshold if request.HasField("score_threshold") else -np.inf
        order = [i for i in np.argsort(-scores, kind="stable") if scores[i] > threshold][: request.limit]
        return [
            qdrant.ScoredPoint(
                id=qdrant.PointId(uuid=names[i]),
                score=float(scores[i]),
                payload={k: qdrant.Value(string_value=v) for k, v in points[names[i]][0].items()},
            )
            for i in order
        ]


def _done() -> Any:
    return qdrant.PointsOperationResponse(result=qdrant.UpdateResult(operation_id=1, status=qdrant.Completed))


@contextmanager
def qdrant_recorder(port: int = 0, credentials: grpc.ServerCredentials | None = None) -> Iterator[tuple[str, Calls]]:
    """host:port of a recorder and its calls; with credentials it speaks TLS."""
    calls = Calls()
    server = grpc.server(ThreadPoolExecutor(4), interceptors=[_Noted(calls)])
    qdrant.add_CollectionsServicer_to_server(_Collections(calls), server)
    qdrant.add_PointsServicer_to_server(_Points(), server)
    address = f"127.0.0.1:{port}"
    bound = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    try:
        yield f"127.0.0.1:{bound}", calls
    finally:
        server.stop(None).wait(10)
