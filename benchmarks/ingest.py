"""Ingest by two embedding workers beside one, with an encoder of fixed latency (50 ms an image).

    python -m benchmarks.ingest

Each worker is a process of its own on real PostgreSQL, Kafka and S3 of this machine, as `make up` starts them; the two are one
consumer group. Timed from the call to the end of the operation, image set included, after a small ingest that is not timed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.embedding_worker import LATENCY_SECONDS
from benchmarks.outcome import end
from infra.dev.deployment import Deployment, Servers
from infra.dev.processes import NotStartedError, down, migrate, start
from infra.dev.stores import SERVERS, NoServerError, find_servers, release_servers
from medq.embedding.v1 import embedding_pb2, embedding_pb2_grpc
from shared.rpc.channels import Channels
from shared.rpc.operations import await_operation

MIN_RATIO = 1.7
_N_WARM_UP = 64
#: Below those that the kernel gives to connections (Linux: from 32768): one of these may hold any port above for a while.
_FIRST_PORT = 20551


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1440, help="images of the folder")
    parser.add_argument("--port", type=int, default=_FIRST_PORT, help="the first of those that the workers take")
    for name in SERVERS:
        parser.add_argument(f"--{name}", default="", help="where it is; else one that is started")
    asked = parser.parse_args()
    n_images: int = asked.images
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _draw(folder / "warm-up", _N_WARM_UP, seed=0)
        _draw(folder / "pool", n_images, seed=1)
        try:
            servers = find_servers(folder, {name: getattr(asked, name) for name in SERVERS})
            seconds = {n_workers: measure(servers, folder, asked.port, n_workers) for n_workers in (1, 2)}
        except (NoServerError, NotStartedError) as error:
            sys.exit(str(error))
        finally:
            release_servers(folder)
    ratio = seconds[1] / seconds[2]
    line = (
        f"ingest of {n_images} images at {LATENCY_SECONDS * 1000:.0f} ms each: one worker {n_images / seconds[1]:.1f} images/s, "
        f"two {n_images / seconds[2]:.1f} images/s, {ratio:.2f} times as many; wanted at least {MIN_RATIO}"
    )
    figures = {"n_images": n_images, "seconds": seconds, "ratio": ratio, "min_ratio": MIN_RATIO}
    end(figures, line, is_met=ratio >= MIN_RATIO)


def measure(servers: Servers, folder: Path, port: int, n_workers: int) -> float:
    """Seconds that an ingest takes with so many workers, on stores of their own that are dropped afterwards."""
    own = folder / f"{n_workers}-workers"
    own.mkdir()
    name = f"medq-bench-{os.getpid()}-{n_workers}"
    deployment = Deployment(own, name, servers, port, {"embedding": n_workers})
    workers = [
        replace(process, module="benchmarks.embedding_worker")
        for process in deployment.processes()
        if process.service == "embedding"
    ]
    try:
        migrate(deployment)
        start(own, workers)
        # The operation itself is at the first worker; the other hears of the images by events alone.
        with Channels({"embedding": workers[0].address}) as channels:
            ingest(channels, folder / "warm-up")
            begin = time.monotonic()
            ingest(channels, folder / "pool")
            return time.monotonic() - begin
    finally:
        down(own, deployment)


def ingest(channels: Channels, source: Path) -> None:
    """Ingest a folder and wait for its image set."""
    request = embedding_pb2.StartIngestRequest(
        operation_id=source.name, source_uri=str(source), split="pool", default_modality="ct"
    )
    embedding_pb2_grpc.EmbeddingServiceStub(channels["embedding"]).StartIngest(request)
    await_operation(channels["embedding"], source.name)


def _draw(folder: Path, n_images: int, seed: int) -> None:
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for number in range(n_images):
        pixels = rng.integers(0, 256, size=(32, 32), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


if __name__ == "__main__":
    main()
