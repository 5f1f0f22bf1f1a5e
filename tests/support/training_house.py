"""The real training server on a unix socket; the leakage check is a fake behind a real server."""

from __future__ import annotations

import json
import threading
from concurrent import futures
from contextlib import contextmanager

import grpc
import numpy as np

from medq.retrieval.v1 import retrieval_pb2, retrieval_pb2_grpc
from medq.training.v1 import training_pb2 as pb
from medq.training.v1.training_pb2_grpc import TrainingServiceStub
from services.training.adapters.subprocess_launcher import SubprocessLauncher
from services.training.job.log import TrainingProgress
from services.training.job.spec import read_spec
from services.training.main import build
from services.training.settings import TrainingSettings
from shared.errors import Cancelled, FailedPrecondition
from shared.events.sqlite import SqliteEventBus
from shared.objects.dataset import publish
from shared.objects.folder import FolderObjectStore
from shared.rows.annotation import Decision
from shared.rows.benchmark import Item
from shared.rows.images import Image
from shared.rpc.channels import Channels
from shared.rpc.interceptors import ErrorInterceptor
from shared.rpc.operations import await_operation
from tests.support.evaluation import put_image
from tests.support.rows import build as a
from tests.support.servers import running

OPTIONS = {"A": "Noise", "B": "Blur", "C": "Nothing"}


_HASHES = ["0123456789abcdef", "fedcba9876543210", "00ff00ff00ff00ff", "aa55aa55aa55aa55"]


class FakeGate(retrieval_pb2_grpc.RetrievalServiceServicer):
    """Finds the leaks that a test names."""

    def __init__(self):
        self.leaks, self.is_down, self.requests = {}, False, []

    def CheckLeakage(self, request, context):
        self.requests.append(request)
        if self.is_down:
            raise FailedPrecondition("The guarded set has no hashes.")
        leaks = [
            retrieval_pb2.Leak(image_id=image_id, reason=self.leaks[image_id], guard_image_id="g")
            for image_id in request.image_ids
            if image_id in self.leaks
        ]
        return retrieval_pb2.CheckLeakageResponse(leaks=leaks)


class FakeProcess:
    """Notes the jobs, and makes of each a model that says what it was told."""

    def __init__(self):
        self.jobs, self.error = [], None

    def run(self, spec_path, on_progress, is_cancelled):
        spec = read_spec(spec_path)
        self.jobs.append(spec)
        on_progress(TrainingProgress(1, 2, 0.5, 1e-5))
        if self.error is not None:
            raise self.error
        spec.checkpoints_folder.mkdir(exist_ok=True)
        spec.result_folder.mkdir()
        for name in ("config.json", "training.json", "optimizer.pt", ".hidden"):
            (spec.result_folder / name).write_text(json.dumps(spec.settings))


class WaitingProcess(FakeProcess):
    """Waits until it is called off or its server drains; the second job is made as usual."""

    def __init__(self):
        super().__init__()
        self.has_begun = threading.Event()

    def run(self, spec_path, on_progress, is_cancelled):
        if self.has_begun.is_set():
            super().run(spec_path, on_progress, is_cancelled)
            return
        self.has_begun.set()
        pause = threading.Event()
        while not is_cancelled():
            pause.wait(0.01)
        raise Cancelled("The training was called off.")


def decision(number, image_uri, question="What is wrong?", **changes):
    fields = {"answer": "AB"[number % 2], "route": "self", "expert_action": "", "simulated": True} | changes
    return a(
        Decision,
        decision_id=f"d{number}",
        sample_id=f"sample-{number}",
        image_id=image_uri.removeprefix("sha256:"),
        image_uri=image_uri,
        prototype_id="p0",
        question=question,
        options=OPTIONS,
        **fields,
    )


class House:
    """A training service and the leakage check on one state folder."""

    def __init__(self, folder):
        self.folder = folder
        self.objects = FolderObjectStore(folder / "objects", synced=False)
        self.gate, self.process = FakeGate(), FakeProcess()
        self.gate_server = grpc.server(futures.ThreadPoolExecutor(2), interceptors=[ErrorInterceptor("fake")])
        retrieval_pb2_grpc.add_RetrievalServiceServicer_to_server(self.gate, self.gate_server)
        self.gate_server.add_insecure_port(f"unix:{folder}/r.sock")
        self.gate_server.start()
        self.bus = SqliteEventBus(folder / "events.sqlite")
        self.settings = TrainingSettings(state_folder=folder / "state", listen=f"unix:{folder}/t.sock")
        self.database = folder / "state" / "training" / "training.sqlite"
        self.image_uris = [put_image(self.objects, level) for level in range(4)]
        self.hashes = list(_HASHES)
        self.decisions = [decision(n, uri) for n, uri in enumerate(self.image_uris[:3])]

    @contextmanager
    def server(self):
        with Channels({"retrieval": f"unix:{self.folder}/r.sock"}) as channels:
            state = self.settings.state_folder
            launcher = self.process and SubprocessLauncher(self.objects, state, self.process)
            service = build(self.settings, channels, self.bus, self.objects, launcher)
            with running(service, self.bus, self.settings) as channel:
                yield channel

    def image_set(self):
        images = [
            a(Image, image_id=uri.removeprefix("sha256:"), image_uri=uri, phash=phash)
            for uri, phash in zip(self.image_uris, self.hashes, strict=True)
        ]
        return self.put("image-set", "images.jsonl", images)

    def put(self, kind, file, content):
        return publish(self.objects, kind, {file: content}, counts={}, parents=[], configuration={})

    def request(self, operation_id="build", **changes):
        fields = {
            "operation_id": operation_id, "run_id": "run", "arm": "arm", "round": 1,
            "decisions_uri": self.put("decisions", "decisions.jsonl", self.decisions),
            "image_set_uris": [self.image_set()], "guard_uris": [self.image_set()], "phash_distance": 4,
            "tfidf_threshold": 0.9, "seed": 3,
        } | changes  # fmt: skip
        return pb.StartBuildDatasetRequest(**fields)

    def build(self, channel, **changes):
        request = self.request(**changes)
        TrainingServiceStub(channel).StartBuildDataset(request)
        return await_operation(channel, request.operation_id).result_uri

    def replay(self):
        uri = self.image_uris[3]
        image = {"image_id": uri.removeprefix("sha256:"), "image_uri": uri}
        items = [a(Item, item_id=f"item-{n}", options=OPTIONS, answer="A", **image) for n in range(3)]
        return self.put("benchmark", "items.jsonl", items)

    def train_request(self, channel, **changes):
        model_uri = self.put("model", "weights.npy", np.zeros(1))
        fields = {
            "operation_id": "train", "run_id": "run", "arm": "arm", "round": 1, "model_uri": model_uri,
            "dataset_uri": self.build(channel), "learning_rate": 2e-5, "epochs": 3, "batch_size": 2,
            "gradient_accumulation": 1, "loss": pb.LOSS_REDUCTION_TOKEN_MEAN, "warmup_ratio": 0.03, "max_length": 99,
            "seed": 5,
        } | changes  # fmt: skip
        return pb.StartTrainRequest(**fields)

    def published(self, topic):
        events = []
        consumer = self.bus.consumer("test", {f"medq.training.{topic}.v1": events.extend})
        while consumer.poll(1.0):
            pass
        consumer.close()
        return events


def checkpoint(folder, config):
    """What looks like a checkpoint folder from outside."""
    folder = folder / "checkpoint"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "processor_config.json"):
        (folder / name).write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def import_model(channel, folder, operation_id="import"):
    request = pb.StartImportModelRequest(operation_id=operation_id, folder_uri=str(folder))
    TrainingServiceStub(channel).StartImportModel(request)
    return await_operation(channel, operation_id).result_uri
