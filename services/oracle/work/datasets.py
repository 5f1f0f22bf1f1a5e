"""The datasets of annotation: known answers and the plan of questions in, decisions with their summary out."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from google.protobuf.json_format import MessageToDict
from msgspec.structs import replace

from medq.oracle.v1 import oracle_pb2 as pb
from services.oracle.domain import annotation
from services.oracle.domain.annotation import Task
from services.oracle.domain.calibration import calibrate_entropy_threshold, reviews_of
from services.oracle.domain.questions import QuestionTemplate, capability_driven, seed_rule, templates_by
from services.oracle.domain.summary import summarise
from services.oracle.ports import Outcome
from shared.errors import InvalidArgument
from shared.objects.dataset import publish, read_rows
from shared.objects.store import ObjectStore
from shared.outside.call import CallResults
from shared.rows.annotation import REJECTED_BY_EXPERT, Account, Calibration, Decision, KnownAnswer, Unanswered
from shared.rows.benchmark import Item
from shared.rows.selection import Sample


def import_known_answers(objects: ObjectStore, benchmark_uri: str) -> str:
    """Write a benchmark about pool images as known answers; returns their URI.

    Raises:
        InvalidArgument: It is no benchmark, or an answer is not among its options.
    """
    rows = [_known_answer(item) for item in read_rows(objects, benchmark_uri, Item)]
    rows.sort(key=lambda row: (row.image_id, row.question, row.item_id))
    return publish(
        objects,
        "known-answers",
        {"answers.jsonl": rows},
        counts={"answers": len(rows), "images": len({row.image_id for row in rows})},
        parents=[benchmark_uri],
        configuration={},
    )


@dataclass(frozen=True)
class Plan:
    """Which questions are asked.

    Attributes:
        tasks: In the order of the selection.
        unanswered: A row for each sample without a question.
        n_without_choice: Samples of which no more questions are known than are asked.
    """

    tasks: list[Task]
    unanswered: list[Unanswered]
    n_without_choice: int


def plan(objects: ObjectStore, request: pb.StartAnnotateRequest, known: Sequence[KnownAnswer]) -> Plan:
    """Which questions are asked about which sample; no answer is looked at."""
    dev = read_rows(objects, request.benchmark_uri, Item)
    own = templates_by(lambda row: row.image_id, known)
    templates = templates_by(lambda row: row.modality, dev)
    attributes = {row.attribute for rows in (known, dev) for row in rows} - {"", "none"}
    tasks: dict[str, Task] = {}
    without: list[Unanswered] = []
    n_without_choice = 0
    for sample in read_rows(objects, request.selection_uri, Sample):
        questions = own.get(sample.image_id) or templates.get(sample.modality) or []
        if not questions:
            without.append(annotation.unanswered_row(sample, "", {}, annotation.NO_QUESTION))
        n_without_choice += 0 < len(questions) <= request.policy.questions_per_image
        for candidate in _choose(request, sample, questions, attributes):
            task = annotation.make_task(request.arm, request.round, sample, candidate)
            tasks.setdefault(task.key, task)
    return Plan(list(tasks.values()), without, n_without_choice)


def fit_threshold(objects: ObjectStore, request: pb.StartAnnotateRequest) -> Calibration | None:
    """Tau_H fitted on the reviews of the arm's earlier rounds; None in a cold start, and where it is set."""
    policy = request.policy
    if policy.is_cold_start or policy.target_error_rate == 0:
        return None
    rounds: list[list[Decision | Unanswered]] = [
        [*read_rows(objects, uri, Decision), *read_rows(objects, uri, Unanswered)] for uri in request.calibration_uris
    ]
    entropies, was_wrong = reviews_of(rounds, policy.tau_agreement)
    return calibrate_entropy_threshold(entropies, was_wrong, target_error_rate=policy.target_error_rate)


def publish_decisions(
    objects: ObjectStore,
    request: pb.StartAnnotateRequest,
    planned: Plan,
    decided: Sequence[Decision],
    dropped: Sequence[Unanswered],
    calls: Mapping[str, CallResults[Outcome]],
    calibration: Calibration | None,
    is_simulated: bool,
) -> str:
    """Make the dataset of kind `decisions`; returns its URI.

    Args:
        objects: Where to.
        request: What was asked.
        planned: Which questions were to be asked.
        decided: The appended decisions in the order of their ids, the rejected ones among them.
        dropped: Planned questions that could not be decided.
        calls: What came of the calls of each kind.
        calibration: How tau_H was fitted; None where it was not.
        is_simulated: Whether oracle or expert are simulated.
    """
    accepted = [row for row in decided if row.answer is not None]
    unanswered = [*planned.unanswered, *dropped, *(_rejected(row) for row in decided if row.answer is None)]
    unanswered.sort(key=lambda row: (row.sample_id, row.question, row.reason))
    policy = MessageToDict(request.policy, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    summary = summarise(
        decided,
        unanswered,
        account={kind: _account(results) for kind, results in calls.items()},
        stopped={kind: results.stopped for kind, results in calls.items()},
        policy=policy,
        is_simulated=is_simulated,
        calibration=calibration,
        n_without_choice=planned.n_without_choice,
    )
    parents = [request.selection_uri, request.known_answers_uri, request.benchmark_uri, request.model_uri]
    return publish(
        objects,
        "decisions",
        {"decisions.jsonl": accepted, "unanswered.jsonl": unanswered, "summary.json": summary},
        counts={"decisions": len(accepted), "unanswered": len(unanswered)},
        parents=[*parents, *request.calibration_uris],
        configuration={"arm": request.arm, "round": request.round, "policy": policy},
        seed=request.seed,
    )


def _known_answer(item: Item) -> KnownAnswer:
    """What an item says of a question; which split and source it came from is left out."""
    if item.answer not in item.options:
        raise InvalidArgument("An answer is no option.", field="answer", value=item.item_id)
    return KnownAnswer(
        image_id=item.image_id,
        question=item.question,
        options=item.options,
        answer=item.answer,
        answer_text=item.options[item.answer],
        question_type=item.question_type,
        attribute=item.attribute,
        severity=item.severity,
        scope=item.scope,
        modality=item.modality,
        item_id=item.item_id,
    )


def _choose(
    request: pb.StartAnnotateRequest,
    sample: Sample,
    questions: Sequence[Sequence[QuestionTemplate]],
    attributes: Collection[str],
) -> Sequence[QuestionTemplate]:
    """Up to `questions_per_image` of the questions, by the question mode; the draw is keyed by seed and sample."""
    n = request.policy.questions_per_image
    if request.policy.question_mode == pb.QUESTION_MODE_SEED_RULE:
        return seed_rule([labellings[0] for labellings in questions], n, request.seed)
    digest = hashlib.sha256(f"questions/{request.seed}/{sample.sample_id}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest, "big"))
    # Of a question that is labelled in several ways the labelling that fits best.
    fitting = [capability_driven(labellings, sample.capability, 1, rng)[0] for labellings in questions]
    return capability_driven(fitting, sample.capability, n, rng, attributes)


def _rejected(row: Decision) -> Unanswered:
    rejected = annotation.unanswered_row(row, row.question, row.options, REJECTED_BY_EXPERT)
    return replace(rejected, entropy=row.entropy, agreement=row.agreement)


def _account(results: CallResults[Outcome]) -> Account:
    """What calls cost together, and how many there were."""
    costs = [outcome.spending for outcome in results.outcomes.values()]
    return Account(
        calls=len(costs),
        usd=round(sum(one.usd for one in costs), 9),
        tokens_in=sum(one.tokens_in for one in costs),
        tokens_out=sum(one.tokens_out for one in costs),
        expert_seconds=round(sum(one.expert_seconds for one in costs), 9),
    )
