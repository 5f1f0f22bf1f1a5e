"""The YAML file of a run, as frozen models: every key, its default, its range, and whether the paper or we chose the default.

`docs/configuration.md` is made of their descriptions, `python -m infra.configuration_page`; `check` reads a file.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from services.controller.configuration.annotation import AnnotateSection
from services.controller.configuration.choices import NEED_REPLAY, SIMULATED, Loss, Modality, Questions, Strategy
from services.controller.configuration.failures import EvaluateSection, MineSection, SelectSection
from services.controller.configuration.section import PathText, Section, Share, problem
from shared.limits import ENCODER_NAME, MOST_IN_A_BATCH, NAME, STATISTICS
from shared.perceptual_hash import MAX_DISTANCE


class DataSection(Section):
    """Where the images and the questions lie; relative paths start from the folder of the file."""

    pool: PathText = Field(description="Ours: the image pool, a folder or a manifest (CSV, TSV, Parquet).")
    pool_answers: str | None = Field(
        None,
        min_length=1,
        description="Ours: a MedQ-Bench TSV about pool images: what a simulated oracle or expert knows; required where one of "
        "them is simulated.",
    )
    dev: PathText = Field(description="Ours: the development set, a MedQ-Bench TSV; its failures drive the loop.")
    test: PathText = Field(description="Ours: the test set, a MedQ-Bench TSV; it decides nothing in the loop.")
    replay: str | None = Field(
        None,
        description="Ours: a MedQ-Bench TSV that is replayed against forgetting, about images that the model was trained on; "
        "null for none, and then no arm draws by novelty or k_centre.",
    )
    simulated_images: str = Field(
        "",
        max_length=300,
        description="Ours: where images were drawn or degraded by a program, a sentence that says so; the report shows it.",
    )
    max_lost_share: Share = Field(
        0.1,
        description="Ours: a set that lost a larger share of its images or rows ends the run before anything is spent.",
    )
    dev_guarded: bool = Field(
        True,
        description="Ours: rows of dev that share a patient, a source or a picture with test are refused; false: they stay, "
        "and the report says so.",
    )
    modality: Modality = Field(
        "", description='Ours: modality of an image for which nothing else tells one; "" means unknown.'
    )


class ArmSection(Section):
    """One way to choose training data; each arm starts from the same model. A bare strategy names an arm after itself."""

    name: str = Field(pattern=f"^{NAME}$", description="Ours: names the arm in the report.")
    strategy: Strategy = Field(
        "failure_contrast",
        description="Ours: how images are drawn from the pool; failure_driven is the paper's way. docs/paper.md compares them.",
    )
    questions: Questions | None = Field(
        None, description="Ours: which questions are asked in this arm; null as in `annotate`."
    )
    quality_assurance: bool | None = Field(None, description="Ours: quality assurance in this arm; null as in `build`.")


class BuildSection(Section):
    """Quality assurance and the dataset version."""

    phash_distance: int = Field(
        2,
        ge=0,
        le=MAX_DISTANCE,
        description="Ours: perceptual hashes at this Hamming distance or nearer are one image.",
    )
    twin_similarity: Share = Field(
        0.6,
        description="Ours: similarity of structure hashes from which on images are degraded twins; 0: not looked for.",
    )
    tfidf_threshold: float = Field(
        0.95, gt=0, le=1, description="Ours: TF-IDF cosine at or above which two texts are one."
    )
    replay_ratio: float = Field(1.0, ge=0, le=100, description="Ours: replayed samples per new sample.")
    quality_assurance: bool = Field(
        True, description="Paper: filter duplicates; the leakage gate stays on when this is false."
    )


class TrainSection(Section):
    """Full-parameter fine-tuning, Eq. (4): `batch_size * gradient_accumulation` samples a step on any number of devices."""

    learning_rate: float = Field(2e-5, gt=0, le=1, description="Paper: peak learning rate of AdamW, cosine schedule.")
    epochs: int = Field(3, ge=1, le=1000, description="Paper: passes over the data.")
    batch_size: int = Field(
        16, ge=1, le=MOST_IN_A_BATCH, description="Ours: most samples of one forward pass on a device."
    )
    gradient_accumulation: int = Field(
        1, ge=1, le=MOST_IN_A_BATCH, description="Ours: forward passes of a step, shared by the devices."
    )
    loss: Loss = Field("token_mean", description="Ours: reduction of the loss; sample_sum is Eq. (4) as printed.")
    warmup_ratio: float = Field(0.03, ge=0, le=0.99, description="Ours: share of the steps with rising learning rate.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="Ours: decoupled weight decay.")
    max_length: int = Field(
        0, ge=0, le=10_000_000, description="Ours: longest sample in tokens; 0 is the model's own limit."
    )


class StopSection(Section):
    """When an arm stops before its last round; the paper says only that performance on dev plateaus."""

    min_gain: Share = Field(0.005, description="Ours: least gain on dev that is worth another round.")
    excluded_gain: Share = Field(
        0.03, description="Ours: gain that must not be missed: an arm stops only where the interval excludes it."
    )
    patience: int = Field(1, ge=1, le=100, description="Ours: rounds in a row without a gain before the arm stops.")
    overall_allowance: Share = Field(
        0.05, description="Ours: accuracy on dev that a round may lose to the best promoted one; more is a regression."
    )
    modality_allowance: Share = Field(
        0.1, description="Ours: likewise, of each modality, to the promoted round that was best at it."
    )
    max_usd: float | None = Field(None, ge=0, description="Ours: US dollars for the whole run; null: no limit.")
    max_expert_hours: float | None = Field(
        None, ge=0, description="Ours: hours of expert time for the whole run; null: no limit."
    )


def _named_after_strategy(value: object) -> object:
    return {"name": value, "strategy": value} if isinstance(value, str) else value


Arm = Annotated[ArmSection, BeforeValidator(_named_after_strategy)]


class RunConfiguration(Section):
    """The whole file."""

    name: str = Field(pattern=f"^{NAME}$", description="Ours: names the run in its report.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Ours: from which every draw of the run is derived.")
    rounds: int = Field(2, ge=0, le=100, description="Ours: trainings at most; the paper runs until dev plateaus.")
    data: DataSection
    model: PathText = Field(description="Ours: folder of the Hugging Face checkpoint to start from.")
    encoder: str = Field(
        STATISTICS,
        pattern=f"^{ENCODER_NAME}$",
        description="Ours: what embeds images and questions, by its name at this site; the paper has BiomedCLIP. statistics "
        "needs no weights.",
    )
    arms: tuple[Arm, ...] = Field(
        (ArmSection(name="failure_contrast"),),
        min_length=1,
        description="Ours: the arms; each is a strategy, or an object with a name.",
    )
    evaluate: EvaluateSection = EvaluateSection()
    mine: MineSection = MineSection()
    select: SelectSection = SelectSection()
    annotate: AnnotateSection
    build: BuildSection = BuildSection()
    train: TrainSection = TrainSection()
    stop: StopSection = StopSection()

    @model_validator(mode="after")
    def _simulated_parts_know_answers(self) -> RunConfiguration:
        if SIMULATED in (self.annotate.oracle, self.annotate.expert) and self.data.pool_answers is None:
            remedy = "Name a MedQ-Bench TSV about pool images, or an endpoint as oracle and another expert."
            raise problem("A simulated oracle or expert needs the answers", remedy, "data.pool_answers")
        return self

    @model_validator(mode="after")
    def _what_the_model_knows_is_named(self) -> RunConfiguration:
        lacking = [arm.strategy for arm in self.arms if arm.strategy in NEED_REPLAY]
        if lacking and self.data.replay is None:
            message = f"The strategy {lacking[0]} compares the pool with images that the model was trained on"
            raise problem(message, "Name a MedQ-Bench TSV about such images, or another strategy.", "data.replay")
        return self

    @model_validator(mode="after")
    def _arm_names_differ(self) -> RunConfiguration:
        names = [arm.name for arm in self.arms]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise problem(f"Two arms are called {twice[0]}", "Give each arm a name of its own.", "arms")
        return self
