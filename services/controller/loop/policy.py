"""How a round is annotated, as the oracle is told."""

from __future__ import annotations

from medq.oracle.v1 import oracle_pb2
from services.controller.configuration import choices
from services.controller.configuration.models import AnnotateSection, ArmSection


def annotation_policy(section: AnnotateSection, arm: ArmSection, *, is_cold_start: bool) -> oracle_pb2.AnnotationPolicy:
    """The policy of a configuration for an arm; in a cold start the oracle pre-annotates and experts review all."""
    return oracle_pb2.AnnotationPolicy(
        tau_entropy=section.tau_entropy or 0.0,
        target_error_rate=section.target_error_rate if section.tau_entropy is None else 0.0,
        tau_agreement=section.tau_agreement,
        is_cold_start=is_cold_start,
        audit_share=section.audit_share,
        question_mode=oracle_pb2.QuestionMode.ValueType(choices.QUESTION_MODES[arm.questions or section.questions]),
        questions_per_image=section.questions_per_image,
        max_in_flight=section.max_in_flight,
        simulated_oracle_accuracy=section.simulated_oracle_accuracy,
        simulated_expert_accuracy=section.simulated_expert_accuracy,
    )
