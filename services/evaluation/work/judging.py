"""From the replies of a model to the rows and the scores of an evaluation."""

from __future__ import annotations

import collections
import math
from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace
from prometheus_client import Counter

from medq.evaluation.v1 import evaluation_pb2 as pb
from services.evaluation.domain.descriptions import description_scores
from services.evaluation.domain.scores import perception_scores
from services.evaluation.ports import Generation, JudgeCalls
from services.evaluation.work.answering import Replies, Run
from services.evaluation.work.describing import Described, DescriptionReader
from services.evaluation.work.reading import Asked, Reading, ReplyReader, way_of
from shared.errors import FailedPrecondition, MedqError
from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer, Description, Scores, Unscored
from shared.rows.vocabulary import DESCRIPTION

_SCORES = Counter(
    "medq_evaluation_scores_total",
    "Answers that are readable (scored), unreadable (wrong), or unscored (we could not evaluate them).",
    ["outcome"],
)
_REMEDY = "Ingest the image again, then evaluate again: only what is missing is asked."


def judge(
    request: pb.StartEvaluateRequest,
    items: Sequence[Item],
    replies: Replies,
    reader: ReplyReader,
    describer: DescriptionReader,
    judge_calls: JudgeCalls | None,
    progress: Callable[[int, int], None],
) -> tuple[list[Answer], Scores, list[Unscored]]:
    """Every run of every item as a row, by item and run, their scores, and what we could not evaluate.

    Raises: FailedPrecondition: no run could be evaluated, or a judge is needed and none is set.
    """
    extractor, form = way_of(request)
    item_of = {item.item_id: item for item in items}
    chosen = [run for run in sorted(replies.answers) if item_of[run[0]].options]
    asked = [Asked(item_of[run[0]].question, item_of[run[0]].options, replies.answers[run].text) for run in chosen]
    readings = dict(zip(chosen, reader.read(asked, extractor, form, judge_calls, progress), strict=True))
    texts = {run: (item_of[run[0]].answer, said.text) for run, said in replies.answers.items() if run not in readings}
    described = describer.read(request, texts, progress)
    n_judged = sum(one.is_judged for one in readings.values())
    readings |= described.readings
    lost = {**replies.lost, **{run: one.failure for run, one in readings.items() if one.failure is not None}}
    if (
        lost and len(lost) == len(items) * request.n_runs and not texts
    ):  # of a description the level alone says something
        raise _nothing_evaluated(len(items), lost, request.benchmark_uri)
    answers = [
        _answer(request, item_of[item_id], run, replies.answers.get((item_id, run)), readings.get((item_id, run)))
        for item_id in sorted(item_of)
        for run in range(request.n_runs)
    ]
    for outcome, n in collections.Counter(map(_outcome, answers)).items():
        _SCORES.labels(outcome).inc(n)
    scores = perception_scores(
        [answer for answer in answers if answer.question_type != DESCRIPTION],
        {item.item_id: item.options for item in items},
        extractor,
        judge=judge_calls.model if judge_calls else "",
        n_judged=n_judged,
        seed=request.sampling.seed,
    )
    return answers, replace(scores, description=_description(answers, described, request)), unscored_rows(lost)


def _description(
    answers: Sequence[Answer], described: Described, request: pb.StartEvaluateRequest
) -> Description | None:
    """The columns of descriptions; None where no item asks for one."""
    own = [answer for answer in answers if answer.question_type == DESCRIPTION]
    if not own:
        return None
    return description_scores(
        own, judge=described.judge, pass_sum=described.pass_sum, anchors=described.anchors, seed=request.sampling.seed
    )


def unscored_rows(lost: Mapping[Run, MedqError]) -> list[Unscored]:
    """What could not be evaluated, by item and run, each with its reason."""
    return [
        Unscored(item_id=item_id, run=run, reason=error.message, remedy=error.remedy or _REMEDY)
        for (item_id, run), error in sorted(lost.items(), key=lambda one: one[0])
    ]


def _outcome(answer: Answer) -> str:
    if not answer.evaluated:
        return "unscored"
    return "scored" if answer.scored else "unreadable"


def _answer(
    request: pb.StartEvaluateRequest, item: Item, run: int, given: Generation | None, reading: Reading | None
) -> Answer:
    """The row of a run; without a reply or a reading of it, of one that we could not evaluate."""
    reply = given or Generation("", (), 0)
    choice = reading.choice if reading else None
    judgement = reading.judgement if reading else None
    return Answer(
        arm=request.arm,
        round=request.round,
        seed=request.sampling.seed,
        model=request.model_uri,
        run=run,
        item_id=item.item_id,
        source_id=item.source_id,
        modality=item.modality,
        question_type=item.question_type,
        attribute=item.attribute,
        severity=item.severity,
        scope=item.scope,
        split=item.split,
        answer=reply.text,
        gold=item.answer,
        choice=choice,
        scored=choice is not None or judgement is not None,
        correct=reading.is_right if reading and judgement else (None if choice is None else choice == item.answer),
        tokens=reply.n_tokens,
        logprob_sum=sum(filter(math.isfinite, reply.token_logprobs)),
        evaluated=reading is not None and reading.failure is None,
        level=reading.level if reading else "",
        judgement=judgement,
    )


def _nothing_evaluated(n_items: int, lost: Mapping[Run, MedqError], benchmark_uri: str) -> FailedPrecondition:
    first = lost[min(lost)]
    return FailedPrecondition(
        f"None of the {n_items} items could be evaluated. Of the first: {first.message}",
        field="benchmark_uri",
        value=benchmark_uri,
        remedy=first.remedy or "Ingest the images again, then evaluate again.",
    )
