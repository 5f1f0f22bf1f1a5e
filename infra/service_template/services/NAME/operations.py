"""Long work of the NAME service: restartable functions whose every effect is keyed."""

from __future__ import annotations

from medq.NAME.v1 import NAME_pb2 as pb
from services.NAME.domain.counting import n_words
from shared.objects.dataset import publish
from shared.objects.store import ObjectStore
from shared.operation_context import OperationContext
from shared.rows.NAME import CLASSCount


class CLASSOperations:
    """The long work.

    Args:
        objects: Where results go.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def count(self, context: OperationContext, request: pb.StartCountRequest) -> str:
        """Count the words of each text.

        Returns: The URI of a dataset of kind `NAME`.
        """
        rows = []
        for done, text in enumerate(request.texts):
            context.progress(done, len(request.texts), "texts")
            rows.append(CLASSCount(position=done, n_words=n_words(text)))
        return publish(
            self._objects, "NAME", {"counts.jsonl": rows}, counts={"texts": len(rows)}, parents=[], configuration={}
        )
