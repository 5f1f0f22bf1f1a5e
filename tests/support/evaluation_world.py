"""The evaluation service on a real server, with a model that answers by a rule and an embedding service that hashes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np

from medq.embedding.v1 import embedding_pb2, embedding_pb2_grpc
from medq.evaluation.v1 import evaluation_pb2 as pb
from medq.evaluation.v1 import evaluation_pb2_grpc as pb_grpc
from medq.retrieval.v1 import retrieval_pb2, retrieval_pb2_grpc
from services.evaluation import main
from services.evaluation.settings import EvaluationSettings
from shared.errors import FailedPrecondition, NotFound
from shared.events.sqlite import SqliteEventBus
from shared.objects.dataset import RowT, read_rows
from shared.objects.folder import FolderObjectStore
from shared.rows.images import Input
from shared.rpc.channels import Channels
from shared.rpc.interceptors import ErrorInterceptor
from shared.rpc.operations import await_operation
from tests.support.chat import ChatJudge, ScriptedChat
from tests.support.evaluation import RuleModel, hashed_unit_vector, object_file, put_image_set, put_model
from tests.support.servers import running

LEVELS = (0, 50, 100, 150, 200, 250)


TABLE = "index\tquestion\tA\tB\tC\tanswer\tmodality\tattribute\n"


class HashingEmbedding(embedding_pb2_grpc.EmbeddingServiceServicer):
    """Embeds texts by their hash and notes how many came at a time."""

    def __init__(self):
        self.sizes = []
        self.encoders = set()

    def EmbedTexts(self, request, context):
        self.sizes.append(len(request.texts))
        self.encoders.add(request.encoder)
        vectors = np.stack([hashed_unit_vector(text, 3) for text in request.texts])
        return embedding_pb2.EmbedTextsResponse(vectors=vectors.astype("<f4").tobytes(), dimension=3)


class LeakageGate(retrieval_pb2_grpc.RetrievalServiceServicer):
    """Finds the leaks that a test names, by image id, and notes what it was asked; without leaks it cannot say."""

    def __init__(self, leaks):
        self.leaks, self.asked = leaks, []

    def CheckLeakage(self, request, context):
        self.asked.append(request)
        if self.leaks is None:
            raise FailedPrecondition("The guarded set has no hashes.")
        found = [retrieval_pb2.Leak(image_id=i, reason=self.leaks[i]) for i in request.image_ids if i in self.leaks]
        return retrieval_pb2.CheckLeakageResponse(leaks=found)


class World:
    """A state folder with an image set, a model, and a service that can be started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects = FolderObjectStore(folder / "objects", synced=False)
        self.image_set = put_image_set(self.objects, LEVELS)
        self.model_uri = put_model(self.objects)
        self.model = RuleModel(lambda prompt, sampling: "A")
        self.loaded: list[Path] = []
        self.embedding = HashingEmbedding()
        self.chat = ScriptedChat(lambda request: '{"grade": 2}')

    def load(self, folder: Path) -> RuleModel:
        self.loaded.append(folder)
        return self.model

    def open_judge(self, endpoint: str, run_id: str, work_id: str) -> ChatJudge:
        if endpoint != self.chat.name:
            raise NotFound("There is no endpoint of this name.", field="judge", value=endpoint)
        return ChatJudge(self.chat)

    @contextmanager
    def serving(self, **overrides: object) -> Iterator[tuple[pb_grpc.EvaluationServiceStub, grpc.Channel]]:
        settings = EvaluationSettings(
            state_folder=self.folder,
            listen=f"unix:{self.folder}/e.sock",
            drain_seconds=0.2,
            threads=4,
            **{"batch_answers": 4, **overrides},
        )
        bus = SqliteEventBus(self.folder / "events.sqlite")
        targets = {name: f"unix:{self.folder}/{name[0]}.sock" for name in ("gate", "model")}
        with Channels({"embedding": targets["model"], "retrieval": targets["gate"]}) as channels:
            self.service = main.build(settings, channels, bus, self.objects, self.load, self.open_judge)
            with running(self.service, bus, settings) as channel:
                yield pb_grpc.EvaluationServiceStub(channel), channel
        bus.close()

    @contextmanager
    def embedding_serving(self) -> Iterator[None]:
        server = grpc.server(ThreadPoolExecutor(2))
        embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server(self.embedding, server)
        server.add_insecure_port(f"unix:{self.folder}/m.sock")
        server.start()
        yield
        server.stop(0).wait()

    @contextmanager
    def gate_serving(self, leaks: dict[str, str] | None) -> Iterator[LeakageGate]:
        gate = LeakageGate(leaks)
        server = grpc.server(ThreadPoolExecutor(2), interceptors=[ErrorInterceptor("fake")])
        retrieval_pb2_grpc.add_RetrievalServiceServicer_to_server(gate, server)
        server.add_insecure_port(f"unix:{self.folder}/g.sock")
        server.start()
        yield gate
        server.stop(0).wait()

    def table(self, *rows: str, header: str = TABLE) -> str:
        path = self.folder / "items.tsv"
        path.write_text(header + "".join(f"{row}\n" for row in rows), encoding="utf-8")
        return str(path)

    def lose(self, item_id: str, damaged: bytes | None = None) -> bytes:
        """Take the image of an item out of the store, or put other bytes in its place; the bytes that were there."""
        path = self._image_file(item_id)
        whole = path.read_bytes()
        path.unlink()
        if damaged is not None:
            path.write_bytes(damaged)
        return whole

    def restore(self, item_id: str, whole: bytes) -> None:
        path = self._image_file(item_id)
        path.unlink(missing_ok=True)
        path.write_bytes(whole)

    def _image_file(self, item_id: str) -> Path:
        image_of = {row.name: row.image_id for row in self.rows(self.image_set, Input)}
        return object_file(self.folder, f"sha256:{image_of[item_id]}")

    def rows(self, uri: str, row: type[RowT]) -> list[RowT]:
        return read_rows(self.objects, uri, row)


def finish(channel, answer):
    return await_operation(channel, answer.operation_id, wait_seconds=1).result_uri


def import_request(world, items_uri, operation_id="import", **changes):
    fields = {"items_uri": items_uri, "image_set_uri": world.image_set, "split": "dev", **changes}
    return pb.StartImportBenchmarkRequest(operation_id=operation_id, **fields)


def benchmark(world, stub, channel):
    """Six items on six images: right answers A, B, A, B, A, B."""
    rows = [f"{n}\tIs it sharp?\tYes\tNo\t\t{'AB'[n % 2]}\tct\tblur" for n in range(6)]
    return finish(channel, stub.StartImportBenchmark(import_request(world, world.table(*rows), "benchmark")))


def evaluate_request(world, dev, operation_id="evaluate", **changes):
    fields = {
        "run_id": "r", "arm": "full", "round": 1, "model_uri": world.model_uri, "benchmark_uri": dev,
        "n_runs": 2, "extractor": pb.EXTRACTOR_STRICT,
        "sampling": pb.Sampling(temperature=1, top_p=1, max_new_tokens=8, seed=5),
        **changes,
    }  # fmt: skip
    return pb.StartEvaluateRequest(operation_id=operation_id, **fields)


def mine_request(world, evaluation_uri, benchmark_uri, operation_id="mine", **changes):
    fields = {
        "evaluation_uri": evaluation_uri, "benchmark_uri": benchmark_uri, "image_set_uri": world.image_set,
        "gamma": 0.6, "visual_weight": 0.5, "max_clusters": 4, "n_runs": 2,
        "axes": ["modality", "attribute"], "min_cell_items": 1, "min_prototype_size": 1, **changes,
    }  # fmt: skip
    return pb.StartMineFailuresRequest(operation_id=operation_id, **fields)
