"""From the replies of a model to the rows and the scores of an evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from prometheus_client import Counter

from medq.evaluation.v1 import evaluation_pb2 as pb
from services.evaluation.domain.scores import perception_scores
from services.evaluation.domain.scoring import official_choice, strict_choice
from services.evaluation.ports import Generation
from services.evaluation.work.answering import Answers
from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer, Scores

_SCORES = Counter("medq_evaluation_scores_total", "Answers that were judged, scored or UNSCORED.", ["outcome"])
Extract = Callable[[str, Mapping[str, str]], str | None]
_EXTRACTORS: dict[int, tuple[str, Extract]] = {
    pb.EXTRACTOR_STRICT: ("strict", strict_choice),
    pb.EXTRACTOR_OFFICIAL: ("official", official_choice),
}


def judge(request: pb.StartEvaluateRequest, items: Sequence[Item], replies: Answers) -> tuple[list[Answer], Scores]:
    """Every reply as a row, by item and run, and their scores."""
    extractor, extract = _EXTRACTORS[request.extractor]
    answers = [
        _answer(request, item, run, replies[item.item_id, run], extract)
        for item in sorted(items, key=lambda item: item.item_id)
        for run in range(request.n_runs)
    ]
    n_scored = sum(answer.scored for answer in answers)
    _SCORES.labels("scored").inc(n_scored)
    _SCORES.labels("unscored").inc(len(answers) - n_scored)
    options = {item.item_id: item.options for item in items}
    return answers, perception_scores(answers, options, extractor, seed=request.sampling.seed)


def _answer(request: pb.StartEvaluateRequest, item: Item, run: int, reply: Generation, extract: Extract) -> Answer:
    choice = extract(reply.text, item.options)
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
    )
