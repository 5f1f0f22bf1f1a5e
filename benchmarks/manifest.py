"""An ingest of a manifest of a million rows, in the embedded services: how much memory it needs, and how fast it is.

    python -m benchmarks.manifest [--rows 1000000]

Every tenth row names one of a hundred small images; the others name files that are not there, so each is listed, looked for,
recorded and written into the report, and no time goes into pixels. The same is done with a tenth of the rows. Each ingest runs in
a process of its own, whose peak of resident memory is looked at when the services are up, after the ingest, and after the image
set was put into the index. It may hardly grow with the rows. At last images are drawn from a pool of as many images, made up for
that: a selection holds the ids of its pool, so this memory grows, and is told apart.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.contender import measure
from benchmarks.outcome import end
from benchmarks.rows import rows
from medq.embedding.v1 import embedding_pb2, embedding_pb2_grpc
from medq.retrieval.v1 import retrieval_pb2, retrieval_pb2_grpc
from services.embedded import Embedded
from shared.logs import configure_logs
from shared.objects.dataset import publish, read_manifest
from shared.objects.folder import FolderObjectStore
from shared.rpc.channels import Channels
from shared.rpc.operations import await_operation

MAX_BYTES, MAX_GROWTH = 1_000_000_000, 1.5
N_IMAGES, EVERY = 100, 10


def write_manifest(folder: Path, n_rows: int) -> Path:
    """A manifest of so many rows beside its images; its path."""
    rng = np.random.default_rng(0)
    for number in range(N_IMAGES):
        Image.fromarray(rng.integers(0, 256, size=(32, 32), dtype=np.uint8)).save(folder / f"{number}.png")
    path = folder / "manifest.tsv"
    with path.open("w", encoding="utf-8") as target:
        target.write("index\timage_path\tmodality\tpatient_id\n")
        for row in range(n_rows):
            file = f"{row // EVERY % N_IMAGES}.png" if row % EVERY == 0 else f"study-{row % 5000}/image-{row}.png"
            target.write(f"{row}\t{file}\tct\tpatient-{row % 5000}\n")
    return path


def ingest(n_rows: int) -> dict[str, Any]:
    """Ingest and index such a manifest in this process, which is a fresh one."""
    configure_logs("ERROR")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        manifest = write_manifest(folder / "in", n_rows)
        with Embedded(folder / "state") as services, Channels(services.targets) as channels:
            up, begin = _peak(), time.monotonic()
            request = embedding_pb2.StartIngestRequest(operation_id="in", source_uri=str(manifest), split="pool")
            embedding_pb2_grpc.EmbeddingServiceStub(channels["embedding"]).StartIngest(request)
            uri = await_operation(channels["embedding"], "in").result_uri
            seconds, ingested = time.monotonic() - begin, _peak()
            retrieval_pb2_grpc.RetrievalServiceStub(channels["retrieval"]).StartIndexImages(
                retrieval_pb2.StartIndexImagesRequest(operation_id="put", image_set_uri=uri)
            )
            await_operation(channels["retrieval"], "put")
            indexed = _peak()
            _draw(channels, FolderObjectStore(folder / "state" / "objects"), n_rows)
        counts = read_manifest(FolderObjectStore(folder / "state" / "objects"), uri).counts
    return {
        "rows_per_second": n_rows / seconds,
        "bytes_of_services": up,
        "bytes_after_ingest": ingested,
        "bytes_after_index": indexed,
        "bytes_after_selection": _peak(),
        "counts": counts,
    }


def _draw(channels: Channels, objects: FolderObjectStore, n_images: int) -> None:
    pool = publish(objects, "image-set", {"images.jsonl": rows(n_images)}, counts={}, parents=[], configuration={})
    request = retrieval_pb2.StartSelectSamplesRequest(
        operation_id="draw", run_id="r", arm="a", round=1, budget=10, alpha=1, strategy=retrieval_pb2.STRATEGY_RANDOM
    )
    request.pool_uris.append(pool)
    retrieval_pb2_grpc.RetrievalServiceStub(channels["retrieval"]).StartSelectSamples(request)
    await_operation(channels["retrieval"], "draw")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _rows(n_rows: int) -> int:
    return n_rows


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the larger manifest, at least 10000")
    n_rows = parser.parse_args().rows
    few, many = (measure(_rows, ingest, n).result for n in (n_rows // 10, n_rows))
    growth = many["bytes_after_index"] / few["bytes_after_index"]
    complete = many["counts"].get("failed") == n_rows - n_rows // EVERY and many["counts"]["images"] == N_IMAGES
    line = (
        f"a manifest of {n_rows} rows: {many['rows_per_second']:.0f} rows/s, {many['bytes_after_index'] / 1e9:.2f} GB at most "
        f"({many['bytes_of_services'] / 1e9:.2f} GB before it began), {growth:.2f} times that of {n_rows // 10} rows (wanted: "
        f"under {MAX_BYTES / 1e9:.1f} GB and {MAX_GROWTH} times){'' if complete else '; ROWS ARE LOST'}; a draw from {n_rows} "
        f"images {many['bytes_after_selection'] / 1e9:.2f} GB"
    )
    figures = {"rows": n_rows, "load": os.getloadavg()[0], "growth": growth, "few": few, "many": many}
    is_met = many["bytes_after_index"] < MAX_BYTES and growth < MAX_GROWTH and complete
    end(figures, line, is_met=is_met)


if __name__ == "__main__":
    main()
