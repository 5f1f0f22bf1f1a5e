"""From the replies of a model to the rows and the scores of an evaluation."""

from __future__ import annotations

import collections
import math
from collections.abc import Callable, Mapping, Sequence

from prometheus_client import Counter

from medq.evaluation.v1 import evaluation_pb2 as pb
from services.evaluation.domain.scores import perception_scores
from services.evaluation.domain.scoring import official_choice, strict_choice
from services.evaluation.ports import Generation
from services.evaluation.work.answering import Replies, Run
from shared.errors import FailedPrecondition, MedqError
from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer, Scores, Unscored

_SCORES = Counter(
    "medq_evaluation_scores_total",
    "Answers that are readable (scored), unreadable (wrong), or unscored (we could not evaluate them).",
    ["outcome"],
)
_REMEDY = "Ingest the image again, then evaluate again: only what is missing is asked."
Extract = Callable[[str, Mapping[str, str]], str | None]
_EXTRACTORS: dict[int, tuple[str, Extract]] = {
    pb.EXTRACTOR_STRICT: ("strict", strict_choice),
    pb.EXTRACTOR_OFFICIAL: ("official", official_choice),
}


def judge(request: pb.StartEvaluateRequest, items: Sequence[Item], replies: Replies) -> tuple[list[Answer], Scores]:
    """Every run of every item as a row, by item and run, and their scores.

    Raises: FailedPrecondition: no run could be evaluated.
    """
    if replies.lost and not replies.answers:
        raise _nothing_evaluated(len(items), replies, request.benchmark_uri)
    extractor, extract = _EXTRACTORS[request.extractor]
    answers = [
        _answer(request, item, run, replies.answers.get((item.item_id, run)), extract)
        for item in sorted(items, key=lambda item: item.item_id)
        for run in range(request.n_runs)
    ]
    for outcome, n in collections.Counter(map(_outcome, answers)).items():
        _SCORES.labels(outcome).inc(n)
    options = {item.item_id: item.options for item in items}
    return answers, perception_scores(answers, options, extractor, seed=request.sampling.seed)


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
    request: pb.StartEvaluateRequest, item: Item, run: int, given: Generation | None, extract: Extract
) -> Answer:
    """The row of a run; without a reply, of one that we could not evaluate."""
    reply = given or Generation("", (), 0)
    choice = extract(reply.text, item.options) if given else None
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
        scored=choice is not None,
        correct=None if choice is None else choice == item.answer,
        tokens=reply.n_tokens,
        logprob_sum=sum(filter(math.isfinite, reply.token_logprobs)),
        evaluated=given is not None,
    )


def _nothing_evaluated(n_items: int, replies: Replies, benchmark_uri: str) -> FailedPrecondition:
    first = replies.lost[min(replies.lost)]
    return FailedPrecondition(
        f"None of the {n_items} items could be evaluated: no image can be read. Of the first: {first.message}",
        field="benchmark_uri",
        value=benchmark_uri,
        remedy=first.remedy or "Ingest the images again, then evaluate again.",
    )
