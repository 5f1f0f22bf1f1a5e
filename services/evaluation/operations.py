"""The long work of the service: benchmarks, evaluations, free answers; failures are mined in `mining.py`.

Each function may be run again from its beginning at any time: answers are kept by what they depend on, and what is written
is the same set of bytes, hence the same URI.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from prometheus_client import Counter

from medq.evaluation.v1 import evaluation_pb2 as pb
from services.evaluation.adapters.benchmark_table import local_path, read_table
from services.evaluation.adapters.dataset_files import publish
from services.evaluation.answering import Answering, Question
from services.evaluation.domain.benchmark import LABELS, Rejection
from services.evaluation.domain.image_join import join_images
from services.evaluation.domain.scores import Score, perception_scores
from services.evaluation.domain.scoring import official_choice, strict_choice
from services.evaluation.ports import Generation, Sampling
from shared.errors import FailedPrecondition, InvalidArgument
from shared.objects.dataset import JsonObject, read_manifest, read_rows
from shared.objects.store import ObjectStore
from shared.operations import OperationContext
from shared.prompts import multiple_choice_prompt

_SCORES = Counter(
    "medq_evaluation_scores_total", "Answers that were judged, scored or UNSCORED.", ["outcome"]
)
Extract = Callable[[str, Mapping[str, str]], str | None]
#: Each extractor's name and function.
EXTRACTORS: dict[int, tuple[str, Extract]] = {
    pb.EXTRACTOR_STRICT: ("strict", strict_choice),
    pb.EXTRACTOR_OFFICIAL: ("official", official_choice),
}


def import_benchmark(
    objects: ObjectStore, context: OperationContext, request: pb.StartImportBenchmarkRequest
) -> str:
    """Make a dataset `benchmark` of a MedQ-Bench TSV and its image set; a row that is no item is in `report.jsonl`.

    Raises:
        NotFound: no such table or image set.
        InvalidArgument: the table cannot be read, lacks a column, or repeats an index.
        FailedPrecondition: no row is an item.
    """
    rows = read_table(request.items_uri)
    read_manifest(objects, request.image_set_uri, "image-set")
    context.progress(0, len(rows), "rows")
    items, rejections = join_images(
        rows,
        read_rows(objects, request.image_set_uri, "images.jsonl"),
        read_rows(objects, request.image_set_uri, "report.jsonl"),
        request.split,
    )
    if not items:
        raise _nothing_left(rejections, request.items_uri)
    return publish(
        objects,
        "benchmark",
        {"items.jsonl": map(asdict, items), "report.jsonl": map(asdict, rejections)},
        counts={"items": len(items), "rejected": len(rejections)},
        parents=[request.image_set_uri],
        configuration={"split": request.split, "table_sha256": _sha256(local_path(request.items_uri))},
    )


def evaluate(
    objects: ObjectStore, answering: Answering, context: OperationContext, request: pb.StartEvaluateRequest
) -> str:
    """Have a model answer a benchmark `n_runs` times and score it; make a dataset `evaluation`.

    Returns: Its URI; "" of a shard, whose answers are kept for the whole evaluation to find.

    Raises:
        NotFound, InvalidArgument, DataLoss: the benchmark or the model is not there, not one, or damaged.
    """
    read_manifest(objects, request.benchmark_uri, "benchmark")
    items = read_rows(objects, request.benchmark_uri, "items.jsonl")
    sampling = sampling_of(request.sampling)
    questions = [Question(item["item_id"], item["image_uri"], _prompt(item)) for item in items]
    shard = (request.shard, max(1, request.n_shards))
    answers = answering.answer(context, request.model_uri, questions, request.n_runs, sampling, shard)
    if request.n_shards > 1:
        return ""
    extractor, extract = EXTRACTORS[request.extractor]
    labels = {
        "arm": request.arm,
        "round": request.round,
        "seed": sampling.seed,
        "model": request.model_uri,
    }
    rows = [
        {**labels, "run": run, **_scored(item, answers[item["item_id"], run], extract)}
        for item in sorted(items, key=lambda item: str(item["item_id"]))
        for run in range(request.n_runs)
    ]
    n_unscored = sum(not row["scored"] for row in rows)
    _SCORES.labels("scored").inc(len(rows) - n_unscored)
    _SCORES.labels("unscored").inc(n_unscored)
    return publish(
        objects,
        "evaluation",
        {"answers.jsonl": rows, "scores.json": _scores(rows, items, extractor, sampling.seed)},
        counts={
            "answers": len(rows),
            "items": len(items),
            "unscored": n_unscored,
        },
        parents=[request.model_uri, request.benchmark_uri],
        configuration={
            "arm": request.arm,
            "round": request.round,
            "n_runs": request.n_runs,
            "extractor": extractor,
            "sampling": asdict(sampling),
        },
        seed=sampling.seed,
    )


def generate(
    objects: ObjectStore, answering: Answering, context: OperationContext, request: pb.StartGenerateRequest
) -> str:
    """Have a model answer free questions once each; make a dataset `generations`.

    Raises:
        NotFound, InvalidArgument, DataLoss: the questions, an image or the model is not there, not one, or damaged; a
            question occurs twice.
    """
    read_manifest(objects, request.questions_uri, "questions")
    rows = read_rows(objects, request.questions_uri, "questions.jsonl")
    _refuse_repeated([row["question_id"] for row in rows])
    sampling = sampling_of(request.sampling)
    questions = [Question(row["question_id"], row["image_uri"], _prompt(row)) for row in rows]
    answers = answering.answer(context, request.model_uri, questions, 1, sampling)
    generations = [
        {
            "question_id": question.item_id,
            "answer": answers[question.item_id, 0].text,
            "choice": strict_choice(answers[question.item_id, 0].text, row["options"] or {}),
            "token_logprobs": answers[question.item_id, 0].token_logprobs,
        }
        for row, question in zip(rows, questions, strict=True)
    ]
    return publish(
        objects,
        "generations",
        {"generations.jsonl": sorted(generations, key=lambda row: str(row["question_id"]))},
        counts={
            "questions": len(generations),
            "unscored": sum(row["choice"] is None for row in generations),
        },
        parents=[request.model_uri, request.questions_uri],
        configuration={"sampling": asdict(sampling)},
        seed=sampling.seed,
    )


def sampling_of(message: pb.Sampling) -> Sampling:
    """Decode how answers are drawn."""
    return Sampling(message.seed, message.temperature, message.top_p, message.max_new_tokens)


def _prompt(row: JsonObject) -> str:
    """What the model is asked; a question without options is asked as it stands."""
    options = row["options"]
    return multiple_choice_prompt(row["question"], options) if options else str(row["question"])


def _scored(item: JsonObject, answer: Generation, extract: Extract) -> JsonObject:
    """The part of a row of `answers.jsonl` that the item and the answer give."""
    choice = extract(answer.text, item["options"])
    return {
        **{label: item[label] for label in LABELS},
        "answer": answer.text,
        "gold": item["answer"],
        "choice": choice,
        "scored": choice is not None,
        "correct": None if choice is None else choice == item["answer"],
        "tokens": answer.n_tokens,
        "logprob_sum": sum(answer.token_logprobs),
    }


def _scores(rows: Sequence[JsonObject], items: Sequence[JsonObject], extractor: str, seed: int) -> JsonObject:
    """`scores.json`: accuracies by the extractor that was asked for, and how far the two extractors differ."""
    options = {item["item_id"]: item["options"] for item in items}
    strict = [{**row, "choice": strict_choice(row["answer"], options[row["item_id"]])} for row in rows]
    scores = perception_scores(strict, options, seed=seed)
    groups = {
        f"by_{axis}": {value: asdict(score) for value, score in of.items()}
        for axis, of in scores.by_axis.items()
    }
    return {
        "perception": {"overall": asdict(scores.overall), **groups},
        "extractors": {
            "used": extractor,
            "official": asdict(scores.official),
            "disagreement": _complement(scores.extractor_agreement),
        },
    }


def _complement(score: Score) -> JsonObject:
    """The share of those that the score does not count."""
    value, low, high = (None if x is None else 1 - x for x in (score.value, score.high, score.low))
    return {"value": value, "low": low, "high": high, "n": score.n, "unscored": score.unscored}


def _nothing_left(rejections: Sequence[Rejection], items_uri: str) -> FailedPrecondition:
    reasons = sorted({rejection.reason for rejection in rejections})
    return FailedPrecondition(
        f"No row of the table is an item; {len(rejections)} were refused: {'; '.join(reasons[:3]) or 'it is empty'}.",
        field="items_uri",
        value=items_uri,
        remedy=rejections[0].remedy if rejections else "Add rows to the table.",
    )


def _refuse_repeated(question_ids: Sequence[str]) -> None:
    repeated = len(question_ids) - len(set(question_ids))
    if repeated:
        raise InvalidArgument(
            "A question occurs twice.",
            field="questions_uri",
            value=f"{repeated} repeated ids",
            remedy="Give each question an id of its own.",
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
