"""From the table of a benchmark to its dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from medq.evaluation.v1 import evaluation_pb2 as pb
from services.evaluation.domain.image_join import join_images
from services.evaluation.ports import ReadTable
from services.evaluation.work.guarding import keep_apart
from shared.errors import FailedPrecondition
from shared.objects.dataset import publish, read_rows
from shared.objects.store import ObjectStore
from shared.operation_context import OperationContext
from shared.paths import local_path
from shared.regular_files import open_regular
from shared.rows.benchmark import Rejection
from shared.rows.fields import Split
from shared.rows.images import Image, Input
from shared.rpc.channels import Channels
from shared.tables import MOST_TABLE_BYTES


class BenchmarkOperations:
    """Brings benchmarks in.

    Args:
        objects: Where datasets lie.
        channels: Where `retrieval` is found.
        read_table: Reads the table of a benchmark.
        input_roots: Folders in one of which a table must lie.
    """

    def __init__(
        self, objects: ObjectStore, channels: Channels, read_table: ReadTable, input_roots: Sequence[Path]
    ) -> None:
        self._objects = objects
        self._channels = channels
        self._read_table = read_table
        self._input_roots = input_roots

    def import_benchmark(self, context: OperationContext, request: pb.StartImportBenchmarkRequest) -> str:
        """Make a dataset `benchmark` of a MedQ-Bench TSV and its image set; a row that is no item is in `report.jsonl`.

        Raises:
            NotFound: no such table or image set.
            InvalidArgument: the table cannot be read, lacks a column, or repeats an index.
            PermissionDenied: the table lies outside the folders that may be read.
            FailedPrecondition: no row is an item, or none of them is free of the guarded sets.
            Unavailable: there are guarded sets, and retrieval does not answer.
        """
        path = local_path(request.items_uri, "items_uri", self._input_roots)
        table = self._read_table(path)
        context.progress(0, len(table), "rows")
        images = read_rows(self._objects, request.image_set_uri, Image)
        inputs = read_rows(self._objects, request.image_set_uri, Input)
        items, rejections = join_images(table, images, inputs, cast(Split, request.split))
        items, leaking = keep_apart(self._channels, request, items)
        rejections = sorted([*rejections, *leaking], key=lambda row: row.name)
        if not items:
            raise _nothing_left(rejections, request.items_uri)
        return publish(
            self._objects,
            "benchmark",
            {"items.jsonl": items, "report.jsonl": rejections},
            counts={"items": len(items), "rejected": len(rejections)},
            parents=[request.image_set_uri, *request.guard_uris],
            configuration={
                "phash_distance": request.phash_distance,
                "split": request.split,
                "table_sha256": _sha256(path),
                "twin_similarity": request.twin_similarity,
            },
        )


def _nothing_left(rejections: Sequence[Rejection], items_uri: str) -> FailedPrecondition:
    reasons = sorted({rejection.reason for rejection in rejections})
    return FailedPrecondition(
        f"No row of the table is an item; {len(rejections)} were refused: {'; '.join(reasons[:3]) or 'it is empty'}.",
        field="items_uri",
        value=items_uri,
        remedy=rejections[0].remedy if rejections else "Add rows to the table.",
    )


def _sha256(path: Path) -> str:
    with open_regular(path, MOST_TABLE_BYTES, "items_uri") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
