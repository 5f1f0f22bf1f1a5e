"""The datasets of annotation: known answers in, decisions with their summary out."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from google.protobuf.json_format import MessageToDict
from msgspec.structs import replace

from medq.oracle.v1 import oracle_pb2 as pb
from services.oracle.domain import annotation
from services.oracle.domain.summary import summarise
from services.oracle.ports import Outcome, Reviews
from services.oracle.work.annotators import Annotators
from services.oracle.work.pre_annotation import PreAnnotation
from services.oracle.work.routing import Calibrations
from shared.errors import InvalidArgument
from shared.objects.dataset import publish, read_rows
from shared.objects.store import ObjectStore
from shared.rows.annotation import REJECTED_BY_EXPERT, Account, Decision, KnownAnswer, Unanswered
from shared.rows.benchmark import Item


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


def publish_decisions(
    objects: ObjectStore,
    request: pb.StartAnnotateRequest,
    annotators: Annotators,
    proposed: PreAnnotation,
    decided: Sequence[Decision],
    dropped: Sequence[Unanswered],
    reviews: Reviews,
    calibrations: Calibrations,
) -> str:
    """Make the dataset of kind `decisions`; returns its URI.

    Args:
        objects: Where to.
        request: What was asked.
        annotators: Who annotated.
        proposed: What the oracle brought.
        decided: The appended decisions in the order of their ids, the rejected ones among them.
        dropped: Questions that could not be decided.
        reviews: What the expert said.
        calibrations: How tau_H was fitted.
    """
    accepted = [row for row in decided if row.answer is not None]
    unanswered = [*proposed.unanswered, *dropped, *(_rejected(row) for row in decided if row.answer is None)]
    unanswered.sort(key=lambda row: (row.sample_id, row.question, row.reason))
    policy = MessageToDict(request.policy, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    summary = summarise(
        decided,
        unanswered,
        account={"oracle": _account(proposed.outcomes), "expert": _account(reviews.decided.values())},
        stopped={"oracle": proposed.stopped, "expert": reviews.stopped},
        policy=policy,
        is_simulated=annotators.is_simulated,
        calibration=calibrations.letter,
        calibration_description=calibrations.description,
        n_without_choice=proposed.n_without_choice,
        n_asked_again=proposed.n_asked_again,
        simulated_parts=annotators.simulated_parts,
    )
    return publish(
        objects,
        "decisions",
        {"decisions.jsonl": accepted, "unanswered.jsonl": unanswered, "summary.json": summary},
        counts={"decisions": len(accepted), "unanswered": len(unanswered)},
        parents=[request.selection_uri, *annotators.parents, request.model_uri, *request.calibration_uris],
        configuration={"arm": request.arm, "round": request.round, "policy": policy, "bank": annotators.bank},
        seed=request.seed,
    )


def _known_answer(item: Item) -> KnownAnswer:
    """What an item says of a question; which split and source it came from is left out."""
    if item.options and item.answer not in item.options:
        raise InvalidArgument("An answer is no option.", field="answer", value=item.item_id)
    return KnownAnswer(
        image_id=item.image_id,
        question=item.question,
        options=item.options,
        answer=item.answer,
        answer_text=item.options[item.answer] if item.options else item.answer,
        question_type=item.question_type,
        attribute=item.attribute,
        severity=item.severity,
        scope=item.scope,
        modality=item.modality,
        item_id=item.item_id,
    )


def _rejected(row: Decision) -> Unanswered:
    rejected = annotation.unanswered_row(row, row.question, row.options, REJECTED_BY_EXPERT)
    return replace(rejected, entropy=row.entropy, agreement=row.agreement)


def _account(outcomes: Collection[Outcome]) -> Account:
    """What calls cost together, and how many there were."""
    costs = [outcome.spending for outcome in outcomes]
    return Account(
        calls=len(costs),
        usd=round(sum(one.usd for one in costs), 9),
        tokens_in=sum(one.tokens_in for one in costs),
        tokens_out=sum(one.tokens_out for one in costs),
        expert_seconds=round(sum(one.expert_seconds for one in costs), 9),
    )
