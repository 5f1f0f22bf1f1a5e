"""A model's answers: to a benchmark, scored, and to free questions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

from medq.evaluation.v1 import evaluation_pb2 as pb
from services.evaluation.domain.judge_anchors import ANCHORS_VERSION
from services.evaluation.ports import Generation, JudgeCalls, OpenJudge, Sampling
from services.evaluation.work.answering import WHOLE, Answering, Query, Replies, Run, Shard
from services.evaluation.work.describing import DescriptionReader
from services.evaluation.work.generations import generation_row
from services.evaluation.work.judging import judge
from services.evaluation.work.reading import NO_JUDGE, Asked, ReplyReader, candidates, way_of
from shared.errors import InvalidArgument, MedqError
from shared.objects.dataset import publish, read_rows
from shared.objects.store import ObjectStore
from shared.operation_context import OperationContext
from shared.prompts import AnswerForm, multiple_choice_prompt
from shared.rows.annotation import Question
from shared.rows.benchmark import Item
from shared.rows.evaluation import Description
from shared.rows.fields import Options


class AnswerOperations:
    """Has models answer.

    Args:
        objects: Where datasets lie.
        answering: Answers of models.
        reader: Reads their replies.
        describer: Reads their descriptions.
        open_judge: Finds the judge that a request names.
    """

    def __init__(
        self,
        objects: ObjectStore,
        answering: Answering,
        reader: ReplyReader,
        describer: DescriptionReader,
        open_judge: OpenJudge,
    ) -> None:
        self._objects = objects
        self._answering = answering
        self._reader = reader
        self._describer = describer
        self._open_judge = open_judge

    def evaluate(self, context: OperationContext, request: pb.StartEvaluateRequest) -> str:
        """Have a model answer a benchmark `n_runs` times and score it; make a dataset `evaluation`.

        Returns: Its URI; "" of a shard, whose answers are kept for the whole evaluation to find.

        Raises:
            NotFound, InvalidArgument, DataLoss: the benchmark or the model is not there, not one, or damaged.
            NotFound, PermissionDenied: the judge of descriptions is no endpoint of the site, or may not be sent them.
            FailedPrecondition: no item could be evaluated, since every image is lost.
        """
        self._describer.require_judge(request)
        items = read_rows(self._objects, request.benchmark_uri, Item)
        sampling = _sampling_of(request.sampling)
        extractor, form = way_of(request)
        judge_calls = self._judge(request, extractor)
        queries = [_query(one.item_id, one.image_uri, one.question, one.options, extractor, form) for one in items]
        shard = (request.shard, max(1, request.n_shards))
        replies = self._answer(context, request, queries, _described(items), request.n_runs, shard)
        if request.n_shards > 1:
            return ""
        answers, scores, unscored = judge(
            request, items, replies, self._reader, self._describer, judge_calls, _judging(context)
        )
        n_scored = sum(answer.scored for answer in answers)
        return publish(
            self._objects,
            "evaluation",
            {"answers.jsonl": answers, "scores.json": scores, "unscored.jsonl": unscored},
            counts={
                "answers": len(answers),
                "items": len(items),
                "unreadable": len(answers) - n_scored - len(unscored),
                "unscored": len(unscored),
            },
            parents=[request.model_uri, request.benchmark_uri],
            configuration={
                "arm": request.arm,
                "round": request.round,
                "n_runs": request.n_runs,
                "extractor": extractor,
                "answer_form": form,
                "judge": judge_calls.model if judge_calls else "",
                "sampling": asdict(sampling),
                **_how_described(request, scores.description),
            },
            seed=sampling.seed,
        )

    def generate(self, context: OperationContext, request: pb.StartGenerateRequest) -> str:
        """Have a model answer free questions once each; make a dataset `generations`.

        Raises:
            NotFound, InvalidArgument, DataLoss: the questions, an image or the model is not there, not one, or damaged;
                a question occurs twice.
        """
        questions = self._questions(request.questions_uri)
        sampling = _sampling_of(request.sampling)
        extractor, form = way_of(request)
        judge_calls = self._judge(request, extractor)
        if extractor == "official":  # its faults are for comparing published figures, not for labels
            extractor = "strict"
        queries = [
            _query(one.question_id, one.image_uri, one.question, one.options or {}, extractor, form)
            for one in questions.values()
        ]
        described = {name for name, one in questions.items() if not one.options}
        replies = self._answer(context, request, queries, described, 1, scope=request.questions_uri)
        if replies.lost:  # a question without an answer has no row here, and would be routed as if it had one
            raise replies.lost[min(replies.lost)]
        answered = [(questions[question_id], reply) for (question_id, _), reply in sorted(replies.answers.items())]
        asked = [Asked(one.question, one.options or {}, reply.text) for one, reply in answered]
        readings = self._reader.read(asked, extractor, form, judge_calls, _judging(context))
        generations = [
            generation_row(one.question_id, one.options or {}, reply, reading.choice)
            for (one, reply), reading in zip(answered, readings, strict=True)
        ]
        return publish(
            self._objects,
            "generations",
            {"generations.jsonl": generations},
            counts={
                "questions": len(generations),
                "unscored": sum(row.choice is None for row in generations),
                "faulty_logprobs": sum(bool(row.logprobs_fault) for row in generations),
            },
            parents=[request.model_uri, request.questions_uri],
            configuration={"sampling": asdict(sampling)},
            seed=sampling.seed,
        )

    def _answer(
        self,
        context: OperationContext,
        request: pb.StartEvaluateRequest | pb.StartGenerateRequest,
        queries: Sequence[Query],
        described: Collection[str],
        n_runs: int,
        shard: Shard = WHOLE,
        scope: str = "",
    ) -> Replies:
        """What the model says; to the `described`, which ask for a description, it may say more."""
        short = _sampling_of(request.sampling)
        long = replace(short, max_new_tokens=request.description_tokens or short.max_new_tokens)
        answers: dict[Run, Generation] = {}
        lost: dict[Run, MedqError] = {}
        for sampling, is_long in ((short, False), (long, True)):
            own = [query for query in queries if (query.item_id in described) is is_long]
            if not own:
                continue
            made = self._answering.answer(context, request.model_uri, own, n_runs, sampling, shard, scope)
            answers |= made.answers
            lost |= made.lost
        return Replies(answers, lost)

    def _judge(self, request: pb.StartEvaluateRequest | pb.StartGenerateRequest, extractor: str) -> JudgeCalls | None:
        """Who is asked what a reply means that no rule reads; None where nobody is.

        Raises:
            FailedPrecondition: Somebody must be, and nobody is named.
            NotFound, PermissionDenied: The judge is no endpoint of the site, or may not be sent replies.
        """
        if extractor != "judge":
            return None
        if not request.judge:
            raise NO_JUDGE
        return self._open_judge(request.judge, request.run_id, request.operation_id)

    def _questions(self, uri: str) -> dict[str, Question]:
        """Free questions by id, in the order of their dataset."""
        rows = read_rows(self._objects, uri, Question)
        questions = {row.question_id: row for row in rows}
        if len(questions) < len(rows):
            raise InvalidArgument(
                "A question occurs twice.",
                field="questions_uri",
                value=f"{len(rows) - len(questions)} repeated ids",
                remedy="Give each question an id of its own.",
            )
        return questions


def _described(items: Iterable[Item]) -> set[str]:
    """The items that ask for a description."""
    return {item.item_id for item in items if not item.options}


def _how_described(request: pb.StartEvaluateRequest, description: Description | None) -> dict[str, Any]:
    """What descriptions depend on beside the rest; nothing where none is asked for."""
    if description is None:
        return {}
    return {
        "description_tokens": request.description_tokens or request.sampling.max_new_tokens,
        "description_pass": description.pass_sum,
        "description_judge": description.judge,
        "judge_anchors": ANCHORS_VERSION if description.judge else None,
    }


def _sampling_of(message: pb.Sampling) -> Sampling:
    """Decode how answers are drawn."""
    return Sampling(message.seed, message.temperature, message.top_p, message.max_new_tokens)


def _query(name: str, image_uri: str, question: str, options: Options, extractor: str, form: AnswerForm) -> Query:
    """What the model is asked, and what it may reply; a question without options is asked as it stands."""
    text = multiple_choice_prompt(question, options, form)
    return Query(name, image_uri, text, candidates(options, extractor, form) if options else ())


def _judging(context: OperationContext) -> Callable[[int, int], None]:
    """Tells how far a judge is."""
    return lambda done, total: context.progress(done, total, "replies", "judging")
