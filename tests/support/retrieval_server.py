"""The real retrieval server on a unix socket, called by its generated stub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from medq.retrieval.v1 import retrieval_pb2 as pb
from medq.retrieval.v1 import retrieval_pb2_grpc as pb_grpc
from shared.errors import MedqError
from shared.events.sqlite import SqliteEventBus
from shared.objects.dataset import publish, read_object, read_rows
from shared.objects.folder import FolderObjectStore
from shared.rows.failures import Anchor, CapabilityErrorRate, PrototypeRow
from shared.rows.images import Image
from shared.rows.selection import Sample, Selection
from shared.rpc.operations import await_operation
from shared.status import from_rpc_error
from tests.support.rows import build as row

D = 16


@dataclass
class Server:
    stub: pb_grpc.RetrievalServiceStub
    channel: grpc.Channel
    bus: SqliteEventBus
    objects: FolderObjectStore
    folder: Path

    def image_set(
        self, ids: Sequence[int], split: str = "pool", near: Sequence[int] = (), encoder: str = "e", **fields: str
    ) -> str:
        """Images with the given numbers; those of `near` look along axis 0, the others along axis 1."""
        vectors = np.stack([vector_of(i, 0 if i in near else 1) for i in sorted(ids)])
        return self._image_set(sorted(ids), vectors, encoder, split=split, **fields)

    def image_set_of(self, vectors: NDArray[np.float32]) -> str:
        """Pool images 0, 1, ... with these vectors."""
        return self._image_set(range(len(vectors)), vectors, "e", split="pool")

    def _image_set(self, ids: Sequence[int], vectors: NDArray[np.float32], encoder: str, **fields: str) -> str:
        said = {"patient": "", "session": ""}
        rows = []
        for i in ids:
            own = {"image_id": f"{i:064x}", "image_uri": f"sha256:{i:064x}", "source_id": f"s{i}"}
            phash = f"{(i * 0x9E3779B97F4A7C15) % 2**64:016x}"
            rows.append(row(Image, **{**own, **said, "phash": phash, **fields}))
        return self.dataset("image-set", {"images.jsonl": rows, "vectors.npy": vectors}, {"encoder_id": encoder})

    def index(self, uri: str) -> None:
        """Put an image set into the index of its encoder."""
        operation_id = f"index/{uri.removeprefix('sha256:')}"
        self.stub.StartIndexImages(pb.StartIndexImagesRequest(operation_id=operation_id, image_set_uri=uri))
        await_operation(self.channel, operation_id)

    def failures(self, failed: Sequence[int] = (), never_failed: Sequence[int] = (), encoder: str = "e") -> str:
        """Two prototypes, along axes 0 and 1; dev images that failed (noise) look along axis 0, the others along axis 1."""
        rates = {"attribute:noise": 0.9, "attribute:motion": 0.1}
        images = [*failed, *never_failed]
        vectors = [vector_of(1000 + i, int(i in never_failed)) for i in images]
        files = {
            "anchors.jsonl": [
                row(
                    Anchor,
                    image_id=f"{1000 + i:064x}",
                    is_failure=i in failed,
                    capabilities={"attribute:noise": 1} if i in failed else {},
                )
                for i in images
            ],
            "anchors.npy": np.array(vectors, dtype=np.float32).reshape(-1, D),
            "prototypes.jsonl": [
                row(PrototypeRow, prototype_id=f"p{j}", profile={capability: 1.0}) for j, capability in enumerate(rates)
            ],
            "capabilities.jsonl": [
                row(CapabilityErrorRate, capability=capability, error_rate=rate) for capability, rate in rates.items()
            ],
            "prototypes.npy": np.eye(D, dtype=np.float32)[:2],
        }
        return self.dataset("failures", files, {"encoder_id": encoder} if encoder else {})

    def dataset(self, kind: str, files: dict[str, Any], configuration: dict[str, Any]) -> str:
        return publish(self.objects, kind, files, counts={}, parents=[], configuration=configuration)

    def select(self, operation_id: str = "select", **changed: Any) -> tuple[list[Sample], Selection]:
        self.stub.StartSelectSamples(self.request(operation_id, **changed))
        uri = await_operation(self.channel, operation_id).result_uri
        return read_rows(self.objects, uri, Sample), read_object(self.objects, uri, Selection)

    def request(self, operation_id: str = "select", **changed: Any) -> pb.StartSelectSamplesRequest:
        fields: dict[str, Any] = {
            "operation_id": operation_id, "run_id": "run", "arm": "medq", "round": 0, "failures_uri": self.failures(),
            "budget": 5, "tau_sim": 0.75, "alpha": 1.0, "strategy": pb.STRATEGY_FAILURE_DRIVEN, "seed": 3,
            "phash_distance": 2, "neighbours": 5,
        }  # fmt: skip
        return pb.StartSelectSamplesRequest(**{**fields, **changed})


def vector_of(i: int, axis: int) -> NDArray[np.float32]:
    """A unit vector within 0.2 of an axis."""
    vector = 0.03 * np.random.default_rng(i).standard_normal(D)
    vector[axis] += 1.0
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def refused(call: Any, request: Any) -> MedqError:
    with pytest.raises(grpc.RpcError) as caught:
        call(request)
    return from_rpc_error(caught.value)


def ids(samples: Sequence[Sample]) -> list[int]:
    return [int(sample.image_id, 16) for sample in samples]


def nearest(server: Server, encoder_id: str = "") -> pb.SearchSimilarResponse:
    vector = vector_of(0, 0).tolist()
    return server.stub.SearchSimilar(pb.SearchSimilarRequest(vector=vector, limit=20, encoder_id=encoder_id))
