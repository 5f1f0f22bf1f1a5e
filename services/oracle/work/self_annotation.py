"""Self-annotation: the evaluation service asks the model under evolution about its own training data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import grpc

from medq.evaluation.v1 import evaluation_pb2 as pb
from medq.evaluation.v1.evaluation_pb2_grpc import EvaluationServiceStub
from medq.operations.v1 import operations_pb2
from medq.oracle.v1.oracle_pb2 import StartAnnotateRequest
from shared.errors import DataLoss
from shared.objects.dataset import publish, read_rows
from shared.objects.store import ObjectStore
from shared.operation_context import OperationContext
from shared.rows.annotation import Generation, Question
from shared.rpc.operations import await_operation

#: Longest answer to a question with options in tokens: a letter, or a sentence that names an option.
MAX_NEW_TOKENS = 16


class SelfAnnotation:
    """Asks the model under evolution.

    Args:
        channel: To the evaluation service.
        objects: Where questions and answers lie.
    """

    def __init__(self, channel: grpc.Channel, objects: ObjectStore) -> None:
        self._channel = channel
        self._objects = objects
        self._stub = EvaluationServiceStub(channel)

    def answers(
        self, context: OperationContext, request: StartAnnotateRequest, questions: Iterable[Question]
    ) -> dict[str, Generation]:
        """Answer each question once, greedily, in operations of their own, which are called off with this one.

        Args:
            context: Whose work this is; the same operation with the same questions asks once.
            request: Names the model, and the seed, though greedy answers draw no noise.
            questions: With different ids.

        Returns: An answer for each question id.
        Raises: DataLoss: a question has no answer.
        """
        asked = sorted(questions, key=lambda question: question.question_id)
        letters = [question for question in asked if question.options]
        descriptions = [question for question in asked if not question.options]
        # Two operations: a description needs room, and a model that rambles shall not ramble where a letter is wanted.
        return {
            **self._answers(context, "self", request, letters, MAX_NEW_TOKENS),
            **self._answers(context, "text", request, descriptions, request.policy.description_tokens),
        }

    def _answers(
        self,
        context: OperationContext,
        name: str,
        request: StartAnnotateRequest,
        asked: Sequence[Question],
        max_new_tokens: int,
    ) -> dict[str, Generation]:
        if not asked:
            return {}
        operation_id = f"{context.operation_id}/{name}"
        self._start(operation_id, request, asked, max_new_tokens)

        def show(operation: operations_pb2.Operation) -> None:
            progress = operation.progress
            context.progress(progress.done, progress.total, "questions", "self-annotation")

        done = await_operation(self._channel, operation_id, on_change=show, is_cancelled=context.is_cancelled)
        answers = {row.question_id: row for row in read_rows(self._objects, done.result_uri, Generation)}
        missing = [question.question_id for question in asked if question.question_id not in answers]
        if missing:
            raise DataLoss("A question has no answer.", field="generations", value=missing[0])
        return answers

    def _start(
        self, operation_id: str, request: StartAnnotateRequest, questions: Sequence[Question], max_new_tokens: int
    ) -> None:
        questions_uri = publish(
            self._objects,
            "questions",
            {"questions.jsonl": questions},
            counts={"questions": len(questions)},
            parents=[],
            configuration={},
        )
        self._stub.StartGenerate(
            pb.StartGenerateRequest(
                operation_id=operation_id,
                model_uri=request.model_uri,
                questions_uri=questions_uri,
                sampling=pb.Sampling(temperature=0.0, top_p=1.0, max_new_tokens=max_new_tokens, seed=request.seed),
                extractor=request.extractor,
                answer_form=request.answer_form,
                judge=request.judge,
                run_id=request.run_id,
            )
        )
