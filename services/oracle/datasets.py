"""The datasets of annotation: known answers and the plan of questions in, decisions with their summary out."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from google.protobuf.json_format import MessageToDict

from medq.oracle.v1 import oracle_pb2 as pb
from services.oracle.domain import annotation, summary
from services.oracle.domain.annotation import Task
from services.oracle.domain.known_answers import KnownAnswer, KnownAnswers
from services.oracle.domain.questions import QuestionTemplate, capability_driven, seed_rule
from services.oracle.ports import Outcome
from shared.errors import InvalidArgument
from shared.objects.dataset import JsonObject, read_manifest, read_rows, write_dataset, write_rows
from shared.objects.store import ObjectStore

#: Known answers keep what a benchmark item says of a question; which split and source it came from they do not.
_KNOWN_FIELDS = (
    "image_id",
    "question",
    "options",
    "answer",
    "question_type",
    "attribute",
    "severity",
    "scope",
    "modality",
)


def import_known_answers(objects: ObjectStore, benchmark_uri: str) -> str:
    """Write a benchmark about pool images as known answers; returns their URI.

    Raises:
        InvalidArgument: It is no benchmark, or an answer is not among its options.
    """
    read_manifest(objects, benchmark_uri, "benchmark")
    rows = []
    for item in read_rows(objects, benchmark_uri, "items.jsonl"):
        if item["answer"] not in item["options"]:
            raise InvalidArgument("An answer is no option.", field="answer", value=item["item_id"])
        row = {name: item[name] for name in _KNOWN_FIELDS}
        rows.append({**row, "answer_text": item["options"][item["answer"]], "item_id": item["item_id"]})
    rows.sort(key=lambda row: (row["image_id"], row["question"], row["item_id"]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder / "answers.jsonl", rows)
        counts = {"answers": len(rows), "images": len({row["image_id"] for row in rows})}
        return write_dataset(
            objects,
            "known-answers",
            folder,
            counts=counts,
            parents=[benchmark_uri],
            configuration={},
            seed=0,
        )


def read_known_answers(objects: ObjectStore, uri: str) -> KnownAnswers:
    """The answers that the simulated oracle and expert know."""
    rows = _known_rows(objects, uri)
    return KnownAnswers(KnownAnswer(row["image_id"], row["question"], row["answer_text"]) for row in rows)


def plan(objects: ObjectStore, request: pb.StartAnnotateRequest) -> tuple[list[Task], list[JsonObject]]:
    """Which questions are asked about which sample; no answer is looked at.

    Returns: The tasks in the order of the selection, and a row for each sample without a question.
    """
    read_manifest(objects, request.selection_uri, "selection")
    samples = read_rows(objects, request.selection_uri, "samples.jsonl")
    own = _candidates(_known_rows(objects, request.known_answers_uri), "image_id")
    read_manifest(objects, request.benchmark_uri, "benchmark")
    templates = _candidates(read_rows(objects, request.benchmark_uri, "items.jsonl"), "modality")
    tasks: dict[str, Task] = {}
    without: list[JsonObject] = []
    for sample in samples:
        candidates = own.get(sample["image_id"]) or templates.get(sample["modality"]) or []
        if not candidates:
            without.append(annotation.unanswered_row(sample, "", {}, annotation.NO_QUESTION))
        for candidate in _choose(request, sample, candidates):
            task = annotation.make_task(request.arm, request.round, sample, candidate)
            tasks.setdefault(task.key, task)
    return list(tasks.values()), without


def write_decisions(
    objects: ObjectStore,
    request: pb.StartAnnotateRequest,
    decided: Sequence[JsonObject],
    undecided: Sequence[JsonObject],
    calls: Mapping[str, Sequence[Outcome]],
    stopped: Mapping[str, str],
    is_simulated: bool,
) -> str:
    """Write the dataset of kind `decisions`; returns its URI.

    Args:
        objects: Where to.
        request: What was asked.
        decided: The appended decisions in the order of their ids, the rejected ones among them.
        undecided: Rows of what could not be decided.
        calls: Outcomes by kind of call, for the accounts.
        stopped: Why calls of a kind ended early, "" where they did not.
        is_simulated: Whether oracle or expert are simulated.
    """
    accepted = [row for row in decided if row["answer"] is not None]
    unanswered = _unanswered(decided, undecided)
    parents = [request.selection_uri, request.known_answers_uri, request.benchmark_uri]
    parents += [request.model_uri] if not request.policy.is_cold_start else []
    policy = MessageToDict(
        request.policy, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    report = summary.summarise(decided, Counter(row["reason"] for row in unanswered))
    report["account"] = {kind: _total(outcomes) for kind, outcomes in calls.items()}
    report |= {"stopped": dict(stopped), "policy": policy, "simulated": is_simulated}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder / "decisions.jsonl", accepted)
        write_rows(folder / "unanswered.jsonl", unanswered)
        write_rows(folder / "summary.json", [report])
        return write_dataset(
            objects,
            "decisions",
            folder,
            counts={"decisions": len(accepted), "unanswered": len(unanswered)},
            parents=parents,
            configuration={"arm": request.arm, "round": request.round, "policy": policy},
            seed=request.seed,
        )


def _unanswered(decided: Sequence[JsonObject], undecided: Sequence[JsonObject]) -> list[JsonObject]:
    """The rows of what has no answer, what the expert rejected among them, in a fixed order."""
    rejected = [
        annotation.unanswered_row(row, row["question"], row["options"], annotation.REJECTED)
        for row in decided
        if row["answer"] is None
    ]
    return sorted([*undecided, *rejected], key=lambda row: (row["sample_id"], row["question"], row["reason"]))


def _known_rows(objects: ObjectStore, uri: str) -> list[JsonObject]:
    read_manifest(objects, uri, "known-answers")
    return read_rows(objects, uri, "answers.jsonl")


def _candidates(rows: Sequence[JsonObject], by: str) -> dict[str, list[list[QuestionTemplate]]]:
    """The questions of rows by image or modality, in a fixed order; answers and severities are left out.

    Returns: For each image or modality its questions, each as the list of its labellings: a template stands in several
        items, labelled after the images of those.
    """
    found: dict[str, dict[str, list[QuestionTemplate]]] = {}
    for row in sorted(rows, key=lambda row: (row["question"], row["attribute"], row["item_id"])):
        labels = (row["question_type"], row["attribute"], row["scope"], row["modality"])
        template = QuestionTemplate(row["question"], row["options"], *labels)
        digest = annotation.question_digest(template.question, template.options)
        labellings = found.setdefault(row[by], {}).setdefault(digest, [])
        if template not in labellings:
            labellings.append(template)
    return {key: list(questions.values()) for key, questions in found.items()}


def _choose(
    request: pb.StartAnnotateRequest, sample: JsonObject, questions: Sequence[Sequence[QuestionTemplate]]
) -> Sequence[QuestionTemplate]:
    """Up to `questions_per_image` of the questions, by the question mode; the draw is keyed by seed and sample."""
    n = request.policy.questions_per_image
    digest = hashlib.sha256(f"questions/{request.seed}/{sample['sample_id']}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest, "big"))
    if request.policy.question_mode == pb.QUESTION_MODE_SEED_RULE:
        return seed_rule([labellings[0] for labellings in questions], n, rng)
    capability = sample["capability"]
    # Of a question that is labelled in several ways the labelling that fits best.
    fitting = [capability_driven(labellings, capability, 1, rng)[0] for labellings in questions]
    return capability_driven(fitting, capability, n, rng)


def _total(outcomes: Sequence[Outcome]) -> JsonObject:
    """What calls cost together, and how many there were."""
    spent = [asdict(outcome.spending) for outcome in outcomes]
    names = ("usd", "tokens_in", "tokens_out", "expert_seconds")
    return {"calls": len(spent), **{name: round(sum(one[name] for one in spent), 9) for name in names}}
