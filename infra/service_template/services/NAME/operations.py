"""Long work of the NAME service: restartable functions whose every effect is keyed."""

from __future__ import annotations

import tempfile
from pathlib import Path

from medq.NAME.v1 import NAME_pb2 as pb

from services.NAME.domain.counting import n_words
from shared.objects.dataset import write_dataset, write_rows
from shared.objects.store import ObjectStore
from shared.operations import OperationContext


class CLASSOperations:
    """The long work.

    Args:
        objects: Where results go.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def count(self, context: OperationContext, request: pb.StartCountRequest) -> str:
        """Count the words of each text.

        Returns: The URI of a dataset of kind `count`.
        """
        rows = []
        for done, text in enumerate(request.texts):
            context.progress(done, len(request.texts), "texts")
            rows.append({"position": done, "n_words": n_words(text)})
        with tempfile.TemporaryDirectory() as folder:
            write_rows(Path(folder) / "counts.jsonl", rows)
            counts = {"texts": len(rows)}
            return write_dataset(
                self._objects, "count", Path(folder), counts=counts, parents=[], configuration={}, seed=0
            )
