"""Self-annotation by the evaluation service, which has the model under evolution, over its stub."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import grpc

from medq.evaluation.v1 import evaluation_pb2 as pb
from medq.evaluation.v1 import evaluation_pb2_grpc as pb_grpc
from medq.operations.v1 import operations_pb2
from services.oracle.ports import Question, SelfAnswer
from shared.errors import DataLoss
from shared.objects.dataset import read_rows, write_dataset, write_rows
from shared.objects.store import ObjectStore
from shared.rpc.operations import await_operation

#: Longest self-annotation in tokens; a letter, or a sentence that names an option.
MAX_NEW_TOKENS = 16


class EvaluationAnnotator:
    """A `SelfAnnotator` in the evaluation service.

    Args:
        channel: To the evaluation service.
        objects: Where questions and answers lie.
    """

    def __init__(self, channel: grpc.Channel, objects: ObjectStore) -> None:
        self._channel = channel
        self._objects = objects
        self._stub = pb_grpc.EvaluationServiceStub(channel)

    def annotate(
        self,
        operation_id: str,
        model_uri: str,
        questions: Sequence[Question],
        seed: int,
        on_progress: Callable[[int, int], None],
        is_cancelled: Callable[[], bool],
    ) -> Mapping[str, SelfAnswer]:
        """Answer each question once, greedily; see the port."""
        if not questions:
            return {}
        sampling = pb.Sampling(temperature=0.0, top_p=1.0, max_new_tokens=MAX_NEW_TOKENS, seed=seed)
        request = pb.StartGenerateRequest(
            operation_id=operation_id,
            model_uri=model_uri,
            questions_uri=self._write(questions),
            sampling=sampling,
        )
        self._stub.StartGenerate(request)

        def show(operation: operations_pb2.Operation) -> None:
            on_progress(operation.progress.done, operation.progress.total)

        done = await_operation(self._channel, operation_id, on_change=show, is_cancelled=is_cancelled)
        rows = read_rows(self._objects, done.result_uri, "generations.jsonl")
        answers = {
            row["question_id"]: SelfAnswer(row["choice"], tuple(row["token_logprobs"])) for row in rows
        }
        missing = [question.key for question in questions if question.key not in answers]
        if missing:
            raise DataLoss("A question has no answer.", field="generations", value=missing[0])
        return answers

    def _write(self, questions: Sequence[Question]) -> str:
        rows = [
            {
                "question_id": question.key,
                "image_uri": question.image_uri,
                "question": question.text,
                "options": dict(question.options),
            }
            for question in sorted(questions, key=lambda question: question.key)
        ]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_rows(folder / "questions.jsonl", rows)
            counts = {"questions": len(rows)}
            return write_dataset(
                self._objects, "questions", folder, counts=counts, parents=[], configuration={}, seed=0
            )
