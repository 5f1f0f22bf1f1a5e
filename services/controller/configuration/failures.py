"""The sections of a run's file about its failures: how answers are scored, where failures lie, what is drawn for them."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from services.controller.configuration.choices import AnswerForm, Axis, Extractor
from services.controller.configuration.section import Section, Share, problem
from shared.limits import NAME


class EvaluateSection(Section):
    """How the model is asked on dev; on test it answers once, greedily."""

    runs: int = Field(5, ge=1, le=100, description="Paper: R, answers per dev item.")
    temperature: float = Field(1.0, ge=0, le=10, description="Ours: sampling temperature on dev; 0 is greedy.")
    top_p: float = Field(1.0, gt=0, le=1, description="Ours: nucleus on dev.")
    max_new_tokens: int = Field(16, ge=1, le=4096, description="Ours: longest answer in tokens.")
    extractor: Extractor = Field(
        "strict",
        description="Ours: how replies are read: strict by rules; official as the leaderboard, faults included; likelihood takes "
        "the option that the model finds likeliest; judge asks the endpoint of `judge` where the rules read nothing.",
    )
    answer_form: AnswerForm = Field(
        "letter",
        description="Ours: how questions are put, in evaluation and training alike: letter and text show the options, "
        "open does not; the answer is a letter, or an option's text.",
    )
    judge: str = Field(
        "",
        pattern=f"^({NAME})?$",
        description="Ours: the endpoint of the site whose model judges descriptions, and reads replies where extractor is judge; "
        '"" for none: descriptions are UNSCORED.',
    )
    description_tokens: int = Field(256, ge=1, le=4096, description="Ours: longest description in tokens.")
    description_pass: int = Field(
        5,
        ge=1,
        le=8,
        description="Ours: a description is wrong where its four grades, 0 to 2 each, sum to less, or its level is two off.",
    )

    @model_validator(mode="after")
    def _greedy_answers_once(self) -> EvaluateSection:
        if self.temperature == 0 and self.runs > 1:
            raise problem("At temperature 0 all runs answer alike", "Set runs to 1, or raise temperature.")
        return self

    @model_validator(mode="after")
    def _a_judge_is_named(self) -> EvaluateSection:
        if self.extractor == "judge" and not self.judge:
            remedy = "Set evaluate.judge to an endpoint of the site, or evaluate.extractor to strict."
            raise problem("The extractor judge needs a judge", remedy, "evaluate.judge")
        return self


class MineSection(Section):
    """Failures and prototypes, Eq. (1)."""

    gamma: float = Field(0.6, ge=0, lt=1, description="Paper: gamma; a failure has an error rate strictly above it.")
    visual_weight: Share = Field(0.5, description="Ours: weight of the visual part in the joint feature.")
    max_clusters: int = Field(
        64, ge=2, le=1000, description="Ours: largest number of clusters that the silhouette tries."
    )
    min_prototype_size: int = Field(
        2, ge=1, le=1_000_000, description="Ours: a cluster of fewer failures is merged into the nearest prototype."
    )
    axes: tuple[Axis, ...] = Field(
        ("modality", "attribute"),
        description="Ours: axes whose values make the cells that images are drawn for, the broadest first.",
    )
    min_cell_items: int = Field(
        10, ge=1, le=1_000_000, description="Ours: a cell of fewer dev items falls back to that without its last axis."
    )

    @field_validator("axes")
    @classmethod
    def _some_axes_each_once(cls, axes: tuple[str, ...]) -> tuple[str, ...]:
        if not axes or len(set(axes)) < len(axes):
            raise problem("There is no axis, or one stands there twice", "Name at least one axis, and each once.")
        return axes


class SelectSection(Section):
    """Retrieval and the adaptive draw, Eq. (2)."""

    budget: int = Field(2000, ge=1, le=10_000_000, description="Paper: B, images per round.")
    tau_sim: float = Field(
        0.75,
        gt=-1,
        lt=1,
        description="Paper: tau_sim; cosine strictly above it. The value is meant for BiomedCLIP: with another encoder, set "
        "tau_pool_share instead.",
    )
    tau_pool_share: float | None = Field(
        None, gt=0, le=1, description="Ours: tau_sim is set so that this share of the pool is near; null: as it is."
    )
    neighbours: int = Field(
        5,
        ge=1,
        le=100,
        description="Ours: nearest dev images of either sort that failure_contrast and shuffled_failures look at, and nearest "
        "images of replay that novelty does.",
    )
    uncertainty_candidates: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="Ours: pool images, taken by chance, that the model is asked about where an arm draws by uncertainty; all "
        "where the pool has no more; null: ten times the budget.",
    )
    alpha: float = Field(1.0, ge=0, le=100, description="Ours: exponent of the capability weights e_k ** alpha.")
