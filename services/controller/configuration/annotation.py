"""The sections of a run's file about annotation: who answers, who reviews, how reviewers are measured."""

from __future__ import annotations

from pydantic import Field, model_validator

from services.controller.configuration.choices import Expert, Questions
from services.controller.configuration.section import Section, Share, problem
from shared.limits import NAME


class ReviewSection(Section):
    """How people are measured who review at the queue; shares are of the questions with options, drawn by key."""

    overlap_share: Share = Field(
        0.0,
        description="Ours: share that two experts answer, each without the other; a third decides where they disagree.",
    )

    blind_share: Share = Field(0.0, description="Ours: share whose proposal is not shown until they are decided.")
    planted_share: Share = Field(
        0.0,
        description="Ours: share that shows a wrong option as the proposal; one that is accepted becomes no training data.",
    )
    calibration_tasks: int = Field(
        0,
        ge=0,
        le=100,
        description="Ours: questions of dev, whose answers are known, that each reviewer answers first.",
    )


class AnnotateSection(Section):
    """Questions, routing (Eq. 3) and review."""

    oracle: str = Field(
        pattern=f"^{NAME}$",
        description="Ours: who pre-annotates: the name of an endpoint of the site that may receive images, or simulated.",
    )
    expert: Expert = Field(
        description="Ours: who reviews: review is people at the queue; simulated knows pool_answers; none: in round 0 the "
        "oracle's answers are adopted unreviewed, later what needs an expert is left out."
    )
    tau_entropy: float | None = Field(
        None,
        ge=0,
        le=100,
        description="Ours: tau_H in nats per token; at or above it the reference is adopted. null: fitted.",
    )
    tau_entropy_description: float | None = Field(
        None, ge=0, le=100, description="Ours: tau_H of descriptions, whose entropy is on another scale; null: fitted."
    )
    target_error_rate: float = Field(
        0.12,
        gt=0,
        lt=1,
        description="Ours: share of the self-annotations adopted unseen that may be wrong; fits tau_H.",
    )
    tau_agreement: Share = Field(0.5, description="Ours: tau_ann; agreement below it asks the expert.")
    tau_text: Share = Field(
        0.5, description="Ours: TF-IDF cosine from which on two descriptions that close with the same level agree."
    )
    audit_share: Share = Field(0.05, description="Ours: share of what no expert saw that goes to review.")
    questions: Questions = Field("capability_driven", description="Paper: which questions are asked.")
    questions_per_image: int = Field(3, ge=1, le=100, description="Ours: questions with options per drawn image.")
    max_in_flight: int = Field(8, ge=1, le=256, description="Ours: outside calls in flight at a time.")
    simulated_oracle_accuracy: Share = Field(0.8, description="Ours: chance that the simulated oracle answers right.")
    simulated_expert_accuracy: Share = Field(0.97, description="Ours: chance that the simulated expert answers right.")
    review: ReviewSection = ReviewSection()

    @model_validator(mode="after")
    def _people_alone_are_measured(self) -> AnnotateSection:
        if self.expert != "review" and self.review != ReviewSection():
            raise problem(
                "Only people are measured",
                "Set annotate.expert to review, or leave annotate.review out.",
                "annotate.review",
            )
        return self
