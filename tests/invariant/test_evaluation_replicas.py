"""An evaluation shared by two processes, of which one is killed in the middle: the dataset is that of one undisturbed process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from medq.evaluation.v1 import evaluation_pb2 as pb
from medq.evaluation.v1.evaluation_pb2_grpc import EvaluationServiceStub
from medq.operations.v1 import operations_pb2
from medq.operations.v1.operations_pb2_grpc import OperationsServiceStub
from services.evaluation.settings import EvaluationSettings
from shared.objects.folder import FolderObjectStore
from shared.rpc.channels import Channels
from shared.rpc.operations import await_operation
from shared.settings import environment_of
from tests.support.evaluation import put_image_set, put_model
from tests.support.servers import short_folder

pytestmark = pytest.mark.timeout(180)
LEVELS = tuple(range(0, 250, 25))
LEASE_SECONDS = 2.0


class Folder:
    """The state that replicas share, and a benchmark of ten items in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        objects = FolderObjectStore(folder / "objects", synced=False)
        self.image_set, self.model = put_image_set(objects, LEVELS), put_model(objects)
        self.table = folder / "items.tsv"
        rows = [f"{number}\tIs it sharp?\tYes\tNo\tA" for number in range(len(LEVELS))]
        self.table.write_text("\n".join(["index\tquestion\tA\tB\tanswer", *rows]) + "\n", encoding="utf-8")

    @contextmanager
    def replica(self, name: str, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], grpc.Channel]]:
        target = f"unix:{self.folder}/{name}.sock"
        own = environment_of(
            EvaluationSettings,
            state_folder=self.folder,
            owner=name,
            listen=target,
            lease_seconds=LEASE_SECONDS,
            drain_seconds=0.2,
            batch_answers=4,
        )
        with (
            (self.folder / f"{name}.log").open("ab") as log,
            subprocess.Popen(
                [sys.executable, "-m", "tests.support.evaluation_replica"],
                env={**os.environ, **own, **environment},
                stdout=log,
                stderr=log,
            ) as process,
            Channels({name: target}) as channels,
        ):
            try:
                grpc.channel_ready_future(channels[name]).result(timeout=60)
                yield process, channels[name]
            finally:
                process.send_signal(signal.SIGTERM)

    def benchmark(self, channel: grpc.Channel) -> str:
        request = pb.StartImportBenchmarkRequest(
            operation_id="dev", items_uri=str(self.table), image_set_uri=self.image_set, split="dev"
        )
        EvaluationServiceStub(channel).StartImportBenchmark(request)
        return await_operation(channel, "dev").result_uri

    def start(self, channel: grpc.Channel, benchmark: str, operation_id: str, n_shards: int = 0, shard: int = 0) -> str:
        request = pb.StartEvaluateRequest(
            operation_id=operation_id, run_id="r", arm="full", model_uri=self.model, benchmark_uri=benchmark, n_runs=2,
            sampling=pb.Sampling(temperature=1, top_p=1, max_new_tokens=8, seed=5), extractor=pb.EXTRACTOR_STRICT,
            n_shards=n_shards, shard=shard,
        )  # fmt: skip
        EvaluationServiceStub(channel).StartEvaluate(request)
        return operation_id


@pytest.fixture
def undisturbed() -> Iterator[str]:
    """The dataset that one process makes alone."""
    with short_folder() as path:
        folder = Folder(path)
        with folder.replica("alone") as (_, channel):
            operation_id = folder.start(channel, folder.benchmark(channel), "whole")
            yield await_operation(channel, operation_id).result_uri


def test_a_shard_of_a_killed_replica_is_taken_over_and_the_evaluation_is_the_same(undisturbed: str):
    with short_folder() as path:
        folder = Folder(path)
        with folder.replica("one", HANG_AT="4") as (one, channel_of_one):
            benchmark = folder.benchmark(channel_of_one)
            # Batches of two items: 0 and 1, 4 and 5, 8 and 9 are shard 0. The first replica hangs in its second batch.
            folder.start(channel_of_one, benchmark, "whole.0", n_shards=2, shard=0)
            until((path / "hangs").exists)
            with folder.replica("two") as (_, channel):
                folder.start(channel_of_one, benchmark, "whole.1", n_shards=2, shard=1)
                assert await_operation(channel, "whole.1").attempts == 1  # asked of one that is busy, done by the other
                assert is_running(channel, "whole.0")
                one.kill()
                assert await_operation(channel, "whole.0").attempts == 2
                uri = await_operation(channel, folder.start(channel, benchmark, "whole")).result_uri
    assert uri == undisturbed


def is_running(channel: grpc.Channel, operation_id: str) -> bool:
    request = operations_pb2.GetOperationRequest(operation_id=operation_id)
    found = OperationsServiceStub(channel).GetOperation(request).operation
    return found.state == operations_pb2.OPERATION_STATE_RUNNING


def until(condition: Callable[[], bool]) -> None:
    """Poll with a deadline."""
    deadline, pause = time.monotonic() + 60, threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        pause.wait(0.02)
