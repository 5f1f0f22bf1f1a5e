"""Routing of a work: the signals of each task, by thresholds that letters and descriptions never share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medq.oracle.v1 import oracle_pb2 as pb
from services.oracle.domain import signals
from services.oracle.domain.annotation import Task
from services.oracle.domain.calibration import calibrate_entropy_threshold, reviews_of
from services.oracle.domain.signals import Own, Signals
from services.oracle.domain.text_similarity import TextSimilarity
from shared.objects.dataset import read_rows
from shared.objects.store import ObjectStore
from shared.rows.annotation import Calibration, Decision, Generation, Unanswered


@dataclass(frozen=True)
class Calibrations:
    """How tau_H was fitted, for questions with options and for descriptions; None where it was not."""

    letter: Calibration | None
    description: Calibration | None


def fit_thresholds(objects: ObjectStore, request: pb.StartAnnotateRequest) -> Calibrations:
    """Tau_H of each kind, fitted on the reviews of the arm's earlier rounds; None in a cold start, and where it is set."""
    policy = request.policy
    targets = (policy.target_error_rate, policy.target_error_rate_description)
    if policy.is_cold_start or not any(targets):
        return Calibrations(None, None)
    rounds: list[list[Decision | Unanswered]] = [
        [*read_rows(objects, uri, Decision), *read_rows(objects, uri, Unanswered)] for uri in request.calibration_uris
    ]

    def fit(target: float, *, is_description: bool) -> Calibration | None:
        if target == 0:
            return None
        tau_text = policy.tau_text if is_description else None
        reviews = reviews_of(rounds, policy.tau_agreement, tau_text)
        return calibrate_entropy_threshold(*reviews, target_error_rate=target)

    return Calibrations(fit(targets[0], is_description=False), fit(targets[1], is_description=True))


def signals_of(
    policy: pb.AnnotationPolicy, calibrations: Calibrations, tasks: Sequence[Task], own: Mapping[str, Generation]
) -> dict[str, Signals]:
    """The signals of each task and the route that they lead to, by decision id.

    Args:
        policy: The rules.
        calibrations: How thresholds were fitted.
        tasks: With the oracle's answers.
        own: The model's replies, by the key of a task.
    """
    letter, description = calibrations.letter, calibrations.description
    tau_letter = letter.tau_entropy if letter else policy.tau_entropy
    tau_description = description.tau_entropy if description else policy.tau_entropy_description
    described = [task for task in tasks if not task.candidate.options]
    similarity = TextSimilarity(text for task in described for text in (task.reference, own[task.key].answer))
    found = {}
    for task in tasks:
        reply, is_description = own[task.key], not task.candidate.options
        mine: Own = (
            signals.own_description(task.reference, reply, similarity, policy.tau_text)
            if is_description
            else signals.own_choice(task.reference, reply)
        )
        if policy.is_cold_start:
            has_expert = policy.expert != pb.EXPERT_KIND_NONE
            found[task.decision_id] = signals.cold_start_signals(task.reference, mine, has_expert=has_expert)
        else:
            tau_entropy = tau_description if is_description else tau_letter
            found[task.decision_id] = signals.routed_signals(task.reference, mine, tau_entropy, policy.tau_agreement)
    return found
