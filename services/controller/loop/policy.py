"""How a round is annotated, as the oracle is told."""

from __future__ import annotations

from medq.oracle.v1 import oracle_pb2
from services.controller.configuration import choices
from services.controller.configuration.annotation import AnnotateSection, ReviewSection
from services.controller.configuration.models import RunConfiguration


def annotation_policy(configuration: RunConfiguration, *, is_cold_start: bool) -> oracle_pb2.AnnotationPolicy:
    """The policy of an arm's configuration; in a cold start the oracle pre-annotates and experts review all."""
    section = configuration.annotate
    tau_letter, tau_description = section.tau_entropy, section.tau_entropy_description
    return oracle_pb2.AnnotationPolicy(
        oracle=section.oracle,
        expert=oracle_pb2.ExpertKind.ValueType(choices.EXPERTS[section.expert]),
        tau_entropy=tau_letter or 0.0,
        target_error_rate=section.target_error_rate if tau_letter is None else 0.0,
        tau_entropy_description=tau_description or 0.0,
        target_error_rate_description=section.target_error_rate if tau_description is None else 0.0,
        tau_text=section.tau_text,
        description_tokens=configuration.evaluate.description_tokens,
        tau_agreement=section.tau_agreement,
        is_cold_start=is_cold_start,
        audit_share=section.audit_share,
        question_mode=oracle_pb2.QuestionMode.ValueType(choices.QUESTION_MODES[section.questions]),
        questions_per_image=section.questions_per_image,
        max_in_flight=section.max_in_flight,
        simulated_oracle_accuracy=section.simulated_oracle_accuracy,
        simulated_expert_accuracy=section.simulated_expert_accuracy,
        review=_review_policy(section),
    )


def _review_policy(section: AnnotateSection) -> oracle_pb2.ReviewPolicy | None:
    """How people are measured; None where they are not."""
    return oracle_pb2.ReviewPolicy(**section.review.model_dump()) if section.review != ReviewSection() else None
