"""The lines of the loop: what each asks of which service, and with which values of the configuration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from medq.evaluation.v1 import evaluation_pb2
from medq.oracle.v1 import oracle_pb2
from medq.training.v1 import training_pb2
from services.controller.configuration import choices
from services.controller.configuration.arms import ArmSection
from services.controller.configuration.models import RunConfiguration
from services.controller.domain.seeds import derive_seed
from services.controller.loop import other_services as ask
from services.controller.loop.calls import Calls, Made
from services.controller.loop.decisions import complete_round, decide, end_arm
from services.controller.loop.inputs import Inputs
from services.controller.loop.other_services import RequestT, Start
from services.controller.loop.policy import annotation_policy
from services.controller.loop.replicas import shards_of
from services.controller.loop.selecting import each_once, questions_request, selection_request, write_questions
from services.controller.loop.works import Lines, Work
from shared.errors import BudgetExhausted, FailedPrecondition
from shared.objects.dataset import read_object
from shared.rows.annotation import Summary


class ArmEnded(Exception):
    """An arm stops here, with a reason for the report; it is no error."""

    def __init__(self, reason: str, steps: Steps) -> None:
        super().__init__(reason)
        self.reason = reason
        self.steps = steps


@dataclass(frozen=True)
class Steps:
    """The lines of the loop for one arm in one round, of which `model` is the model. Datasets go in and out by URI.

    A line yields what it wants other services to do, and is sent what they made. `configuration` is that of the arm, `places`
    counts the events of the run, and `earlier` are the datasets that the arm was trained on before, the first one first.
    """

    calls: Calls
    configuration: RunConfiguration
    arm: ArmSection
    inputs: Inputs
    model: str
    places: Iterator[int]
    earlier: tuple[str, ...] = ()

    def evaluate_dev(self) -> Lines[str]:
        """The model answers dev R times, sampled; its failures and the stop rule come from here."""
        section = self.configuration.evaluate
        return (
            yield from self._evaluate("evaluate_dev", self.inputs.dev, section.runs, section.temperature, section.top_p)
        )

    def evaluate_tests(self) -> Lines[None]:
        """The model answers test and each further test once, greedily; this decides nothing."""
        for step, benchmark in self.inputs.tests.items():
            yield from self._evaluate(step, benchmark, 1, 0.0, 1.0)

    def mine_failures(self, evaluation: str) -> Lines[str]:
        """Failures on dev, Eq. (1), and their prototypes."""
        section = self.configuration.mine
        request = evaluation_pb2.StartMineFailuresRequest(
            evaluation_uri=evaluation,
            benchmark_uri=self.inputs.dev,
            image_set_uri=self.inputs.dev_images,
            gamma=section.gamma,
            visual_weight=section.visual_weight,
            max_clusters=section.max_clusters,
            n_runs=self.configuration.evaluate.runs,
            axes=section.axes,
            min_cell_items=section.min_cell_items,
            min_prototype_size=section.min_prototype_size,
        )
        made = yield from self._operate("mine_failures", ask.MINE_FAILURES, request)
        return self._unless_empty(made, "failures.jsonl", "no_failures")

    def select_samples(self, failures: str) -> Lines[str]:
        """Pool images by contrast, or around the prototypes, Eq. (2), drawn by capability weight; or by a peer of them."""
        seed = self._seed("select_samples")
        request = selection_request(self.calls, self.configuration, self.arm, self.inputs, failures, seed)
        if self.arm.strategy == choices.UNCERTAINTY:
            request.questions_uri, request.generations_uri = yield from self._ask_about_pool()
        made = yield from self._operate("select_samples", ask.SELECT_SAMPLES, request)
        return self._unless_empty(made, "samples.jsonl", "no_samples")

    def _ask_about_pool(self) -> Lines[tuple[str, str]]:
        """The model answers what can be asked of any image, about some images of the pool: questions and answers."""
        objects, seed = self.calls.collaborators.objects, self._seed("ask_about_pool")
        written = self.calls.remember(
            "pool_questions",
            lambda: {"uri": write_questions(objects, self.inputs.pool, self.configuration.select, seed)},
        )
        request = questions_request(self.configuration, self.calls.run_id, self.model, written["uri"])
        made = yield from self._operate("ask_about_pool", ask.GENERATE, request)
        return written["uri"], made.uri

    def annotate(self, samples: str, annotated: Sequence[str] = ()) -> Lines[str]:
        """Question, answer, route by Eq. (3), review; tau_H is fitted on the reviews of the arm's earlier rounds."""
        request = oracle_pb2.StartAnnotateRequest(
            run_id=self.calls.run_id,
            arm=self.arm.name,
            round=self.calls.round,
            selection_uri=samples,
            model_uri=self.model,
            known_answers_uri=self.inputs.known_answers,
            benchmark_uri=self.inputs.dev,
            policy=annotation_policy(self.configuration, is_cold_start=self.calls.round == 0),
            seed=self._seed("annotate"),
            calibration_uris=each_once(*annotated),
            extractor=self._extractor,
            answer_form=self._answer_form,
            judge=self.configuration.evaluate.judge,
        )
        made = yield from self._operate("annotate", ask.ANNOTATE, request)
        if not made.rows.get("decisions.jsonl"):
            summary = read_object(self.calls.collaborators.objects, made.uri, Summary)
            is_stopped = any(summary.stopped.values())  # calls end early for the budget alone
            raise ArmEnded("budget" if is_stopped else "no_decisions", self)
        return made.uri

    def build_dataset(self, decisions: str) -> Lines[str]:
        """Quality assurance, leakage gate, replay: an immutable dataset version."""
        section, inputs = self.configuration.build, self.inputs
        request = training_pb2.StartBuildDatasetRequest(
            run_id=self.calls.run_id,
            arm=self.arm.name,
            round=self.calls.round,
            decisions_uri=decisions,
            replay_uri=inputs.replay,
            replay_ratio=section.replay_ratio,
            total_samples=section.total_samples or 0,
            is_earlier_replayed=section.replay_earlier,
            image_set_uris=each_once(inputs.pool, inputs.replay_images),
            guard_uris=each_once(inputs.dev_images, *inputs.test_images),
            phash_distance=section.phash_distance,
            tfidf_threshold=section.tfidf_threshold,
            seed=self._seed("build_dataset"),
            is_quality_assurance_off=not section.quality_assurance,
            twin_similarity=section.twin_similarity,
            earlier_uris=each_once(*self.earlier),
            answer_form=self._answer_form,
        )
        try:
            made = yield from self._operate("build_dataset", ask.BUILD_DATASET, request)
        except FailedPrecondition as error:
            if error.field != "decisions_uri":
                raise
            raise ArmEnded("no_training_samples", self) from None  # quality assurance left none
        return self._unless_empty(made, "train.jsonl", "no_training_samples")

    def train(self, dataset: str) -> Lines[str]:
        """Full-parameter fine-tuning, Eq. (4)."""
        section = self.configuration.train
        request = training_pb2.StartTrainRequest(
            model_uri=self.model,
            dataset_uri=dataset,
            learning_rate=section.learning_rate,
            epochs=section.epochs,
            steps=section.steps or 0,
            batch_size=section.batch_size,
            gradient_accumulation=section.gradient_accumulation,
            loss=training_pb2.LossReduction.ValueType(choices.LOSSES[section.loss]),
            warmup_ratio=section.warmup_ratio,
            weight_decay=section.weight_decay,
            max_length=section.max_length,
            seed=self._seed("train"),
            run_id=self.calls.run_id,
            round=self.calls.round,
            arm=self.arm.name,
        )
        return (yield from self._operate("train", ask.TRAIN, request)).uri

    def stop_if_done(self) -> None:
        """End the arm at a regression, a plateau, a spent budget, or after the last round."""
        decision = self.calls.remember_recorded("decide", lambda: decide(self.calls, self.configuration))
        if decision["reason"]:
            raise ArmEnded(decision["reason"], self)

    def complete_round(self, model: str) -> None:
        """Tell the world that the round has ended with this model."""
        place = next(self.places)
        self.calls.remember_recorded("complete", lambda: complete_round(self.calls, model, place))

    def end_arm(self, reason: str) -> None:
        """Note why the arm stopped and which model comes out, and tell the world."""
        place = next(self.places)
        self.calls.remember_recorded("stop", lambda: end_arm(self.calls, place, reason))

    def _evaluate(self, step: str, benchmark: str, n_runs: int, temperature: float, top_p: float) -> Lines[str]:
        section = self.configuration.evaluate
        request = evaluation_pb2.StartEvaluateRequest(
            run_id=self.calls.run_id,
            arm=self.arm.name,
            round=self.calls.round,
            model_uri=self.model,
            benchmark_uri=benchmark,
            n_runs=n_runs,
            sampling=evaluation_pb2.Sampling(
                temperature=temperature,
                top_p=top_p,
                max_new_tokens=section.max_new_tokens,
                seed=self.configuration.seed,
            ),
            extractor=self._extractor,
            answer_form=self._answer_form,
            judge=section.judge,
            description_tokens=section.description_tokens,
            description_pass=section.description_pass,
        )
        shards = shards_of(self.calls, step, request)
        if shards:
            yield shards
        return (yield from self._operate(step, ask.EVALUATE, request)).uri

    @property
    def _extractor(self) -> evaluation_pb2.Extractor.ValueType:
        return evaluation_pb2.Extractor.ValueType(choices.EXTRACTORS[self.configuration.evaluate.extractor])

    @property
    def _answer_form(self) -> evaluation_pb2.AnswerForm.ValueType:
        return evaluation_pb2.AnswerForm.ValueType(choices.ANSWER_FORMS[self.configuration.evaluate.answer_form])

    def _operate(self, step: str, start: Start[RequestT], request: RequestT) -> Lines[Made]:
        """A step on another service; where the run's budget does not cover it, the arm ends."""
        try:
            (made,) = yield [Work(self.calls, step, start, request)]
        except BudgetExhausted as error:
            if not error.field.startswith("stop."):  # another limit: of a message, of callers
                raise
            raise ArmEnded("budget", self) from None
        return made

    def _seed(self, step: str) -> int:
        return derive_seed(self.configuration.seed, self.arm.name, self.calls.round, step)

    def _unless_empty(self, made: Made, file_name: str, reason: str) -> str:
        """What was made, if the file that the next line needs has a row in it."""
        if not made.rows.get(file_name):
            raise ArmEnded(reason, self)
        return made.uri
