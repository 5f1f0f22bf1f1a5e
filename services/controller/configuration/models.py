"""The YAML file of a run, as frozen models: every key, its default, its range, and whether the paper or we chose the default.

`docs/configuration.md` is made of their descriptions, `python -m infra.configuration_page`; `check` reads a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, TypeAdapter, model_validator

from services.controller.configuration.annotation import AnnotateSection
from services.controller.configuration.arms import Arm, ArmSection, Json
from services.controller.configuration.choices import NEED_REPLAY, SIMULATED, Modality
from services.controller.configuration.failures import EvaluateSection, MineSection, SelectSection
from services.controller.configuration.learning import BuildSection, TrainSection
from services.controller.configuration.section import PathText, Section, Share, problem
from services.controller.domain.arms import settings_of
from shared.limits import ENCODER_NAME, NAME, STATISTICS

#: Of a further test: it stands behind a dot in the names of steps, so it has none itself.
FurtherName = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]


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
    further_tests: dict[FurtherName, PathText] = Field(
        {},
        max_length=8,
        description="Ours: name to a MedQ-Bench TSV, such as `{site_b: site_b.tsv}`, at most 8: answered as test is, by the base "
        "model and after each training, and reported alone. Like test they decide nothing, and nothing near them is trained on.",
    )
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
    enrichment: float | None = Field(
        None,
        gt=0,
        description="Ours: where weaknesses were planted, how many times more common they are in test than in the pool; the "
        "report says it beside what was gained.",
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
        max_length=64,
        description="Ours: the arms; each is a strategy, or an object with a name and what it changes.",
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
    def _there_is_something_to_fill_up_with(self) -> RunConfiguration:
        if self.build.total_samples and self.data.replay is None:
            remedy = "Name a MedQ-Bench TSV in data.replay, or leave total_samples null."
            raise problem("A training set is filled up by replay", remedy, "build.total_samples")
        return self

    @model_validator(mode="after")
    def _arm_names_differ(self) -> RunConfiguration:
        names = [arm.name for arm in self.arms]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise problem(f"Two arms are called {twice[0]}", "Give each arm a name of its own.", "arms")
        return self

    @model_validator(mode="after")
    def _each_arm_can_run(self) -> RunConfiguration:
        _BY_ARM.validate_python(
            {"arms": {place: self._settings_of(arm) for place, arm in enumerate(self.arms) if arm.changes}}
        )
        return self

    @property
    def is_simulated(self) -> bool:
        """Whether the oracle or the expert of an arm is a program that knows answers."""
        return any(SIMULATED in (own.annotate.oracle, own.annotate.expert) for _, own in self.each_arm())

    def for_arm(self, arm: ArmSection) -> RunConfiguration:
        """The configuration of an arm: the run's, arms included, with what this arm changes in it."""
        return RunConfiguration.model_validate(self._settings_of(arm)).model_copy(update={"arms": self.arms})

    def each_arm(self) -> Iterator[tuple[ArmSection, RunConfiguration]]:
        """The arms in their order, each with its configuration."""
        return ((arm, self.for_arm(arm)) for arm in self.arms)

    def _settings_of(self, arm: ArmSection) -> Json:
        return settings_of(self.model_dump(exclude={"arms"}), arm.model_dump())


#: Checks the settings of arms by their places, so that what is wrong with them is found at `arms.N`.
_BY_ARM = TypeAdapter(dict[str, dict[int, RunConfiguration]])
