"""Collects what a run's steps gave, for its report: from the rows of the loop and the datasets that they name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from msgspec import convert

from services.controller.domain.arms import settings_of
from services.controller.domain.comparisons import RoundGain
from services.controller.domain.further_tests import FurtherTest
from services.controller.domain.ledger import Entry, expert_time, of_arm, totals
from services.controller.domain.report import FURTHER_TESTS
from services.controller.domain.richness import Cell, richness
from services.controller.domain.round_facts import ArmFacts, RoundFacts
from services.controller.domain.searches import searches
from services.controller.store.runs import Result, RunRow
from shared.left_out import SetFacts
from shared.objects.dataset import iterate_rows, read_manifest, read_object, read_rows
from shared.objects.store import ObjectStore
from shared.rows.annotation import Decision, KnownAnswer, Summary
from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer, Scores, Unscored
from shared.rows.failures import Anchor, CapabilityErrorRate, PrototypeRow
from shared.rows.fields import Row
from shared.rows.selection import Sample, Selection
from shared.rows.training import Dropped, Training

RowT = TypeVar("RowT", bound=Row)
#: The steps that give a score.
EVALUATIONS = ("evaluate_dev", "evaluate_test")
#: Before the name of a further test in the names of its steps. What follows the next dot is a shard.
FURTHER = "further."


def arms_of(
    objects: ObjectStore, run: RunRow, results: list[Result], gains: Mapping[str, Mapping[int, RoundGain]]
) -> list[ArmFacts]:
    """The arms of a run with all that is known of their rounds; `gains` are those on test, by arm and round."""
    truth = _truth(objects, results)
    arms = []
    for arm in run.configuration["arms"]:
        own = [result for result in results if result.arm == arm["name"]]
        rounds = sorted({result.round for result in own})
        stops = [str(result.detail["reason"]) for result in own if result.step == "stop"]
        gained = gains.get(arm["name"], {})
        facts = [_round(objects, number, own, gained.get(number), truth) for number in rounds]
        asked = settings_of(run.configuration, arm)["annotate"]["questions"]
        arms.append(ArmFacts(arm["name"], arm["strategy"], asked, stops[0] if stops else None, facts))
    return arms


def sets_of(results: list[Result]) -> list[SetFacts]:
    """What was brought in, in the order in which it was."""
    return [convert(result.detail["left_out"], SetFacts) for result in results if "left_out" in result.detail]


def measured_of(run: RunRow, results: list[Result], costs: Sequence[Entry], failure: str) -> dict[str, Any]:
    """Every time, cost and URI of a run."""
    steps = [
        {
            "arm": result.arm, "round": result.round, "step": result.step, "service": result.service,
            "operation_id": result.operation_id, "uri": result.uri, "worked_seconds": result.worked_seconds,
            "attempts": result.attempts,
        }
        for result in results
        if result.operation_id
    ]  # fmt: skip
    return {
        "run_id": run.run_id,
        "create_time": datetime.fromtimestamp(run.created_at, UTC).isoformat(),
        "failure": failure or None,
        "steps": steps,
        "promoted_models": {result.arm: result.uri for result in results if result.step == "stop"},
        "ledger": totals(costs),
        "ledger_by_arm": {
            arm["name"]: totals(of_arm(costs, run.run_id, arm["name"])) for arm in run.configuration["arms"]
        },
        "expert_time_by_round": {
            name: [expert_time(of_arm(costs, run.run_id, name, number)) for number in range(n_annotated)]
            for name, n_annotated in _annotated_rounds(results).items()
        },
    }


def _annotated_rounds(results: Iterable[Result]) -> dict[str, int]:
    """Arm to the number of its rounds whose images were annotated, by its last one."""
    annotated = [result for result in results if result.step == "annotate"]
    return {result.arm: result.round + 1 for result in sorted(annotated, key=lambda result: result.round)}


def evaluations_of(run: RunRow, results: list[Result]) -> list[Result]:
    """A run's evaluations: by arm in the order of the configuration, round, dev before test."""
    order = {arm["name"]: place for place, arm in enumerate(run.configuration["arms"])}
    found = [result for result in results if result.step in EVALUATIONS]
    found.sort(key=lambda result: (order[result.arm], result.round, EVALUATIONS.index(result.step)))
    return found


def promoted_scores(objects: ObjectStore, results: Iterable[Result], arm: str) -> dict[int, Scores]:
    """The scores on dev of the rounds of an arm that were promoted."""
    own = {(result.round, result.step): result for result in results if result.arm == arm}
    return {
        number: read_object(objects, own[number, "evaluate_dev"].uri, Scores)
        for (number, step), result in own.items()
        if step == "decide" and result.detail["is_promoted"]
    }


def test_answers(
    objects: ObjectStore, run: RunRow, results: list[Result], test: str
) -> dict[str, dict[int, list[Answer]]]:
    """Every answer on test, or on a further one, by arm in the order of the configuration and by round."""
    found = _evaluated(run, results, test)
    return {arm: {number: read_rows(objects, uri, Answer) for number, uri in own.items()} for arm, own in found.items()}


def test_items(objects: ObjectStore, results: Iterable[Result], test: str) -> list[Item]:
    """The questions of the test set, or of a further one; nothing before it was brought in."""
    step = f"import_{test}"
    return [item for result in results if result.step == step for item in read_rows(objects, result.uri, Item)]


def further_of(objects: ObjectStore, run: RunRow, results: list[Result]) -> list[FurtherTest]:
    """What is known of the further tests, by name."""
    names = sorted(run.configuration["data"].get(FURTHER_TESTS, {}))
    return [_further(objects, run, results, name) for name in names]


def _further(objects: ObjectStore, run: RunRow, results: list[Result], name: str) -> FurtherTest:
    test = f"{FURTHER}{name}"
    scores = {
        arm: {number: read_object(objects, uri, Scores) for number, uri in own.items()}
        for arm, own in _evaluated(run, results, test).items()
    }
    return FurtherTest(name, test_items(objects, results, test), scores, test_answers(objects, run, results, test))


def _evaluated(run: RunRow, results: Iterable[Result], test: str) -> dict[str, dict[int, str]]:
    """Arm to round to the evaluation on a test."""
    found: dict[str, dict[int, str]] = {arm["name"]: {} for arm in run.configuration["arms"]}
    for result in results:
        if result.step == f"evaluate_{test}":
            found[result.arm][result.round] = result.uri
    return found


def _truth(objects: ObjectStore, results: list[Result]) -> dict[str, set[Cell]]:
    """Pool image to what it shows, as the simulated oracle knows it; nothing before that was brought in."""
    truth: dict[str, set[Cell]] = defaultdict(set)
    for result in results:
        if result.step == "import_known_answers":
            for row in iterate_rows(objects, result.uri, KnownAnswer):
                truth[row.image_id].add((row.modality, row.attribute))
    return truth


def _round(
    objects: ObjectStore,
    number: int,
    results: list[Result],
    gain: RoundGain | None,
    truth: Mapping[str, Collection[Cell]],
) -> RoundFacts:
    by_step = {result.step: result for result in results if result.round == number}

    def one(step: str, row: type[RowT]) -> RowT | None:
        return read_object(objects, by_step[step].uri, row) if step in by_step else None

    def rows(step: str, row: type[RowT]) -> list[RowT]:
        return read_rows(objects, by_step[step].uri, row) if step in by_step else []

    def counts(step: str) -> Mapping[str, int] | None:
        return read_manifest(objects, by_step[step].uri).counts if step in by_step else None

    capabilities, prototypes = rows("mine_failures", CapabilityErrorRate), rows("mine_failures", PrototypeRow)
    samples = rows("select_samples", Sample)
    return RoundFacts(
        round=number,
        dev=one("evaluate_dev", Scores),
        test=one("evaluate_test", Scores),
        unscored={step.removeprefix("evaluate_"): rows(step, Unscored) for step in EVALUATIONS},
        capabilities=capabilities,
        prototypes=prototypes,
        failure_counts=counts("mine_failures"),
        selection=one("select_samples", Selection),
        richness=richness(truth, [sample.image_id for sample in samples], capabilities),
        searches=searches(samples, _anchors(objects, by_step), prototypes, truth),
        decisions=rows("annotate", Decision),
        summary=one("annotate", Summary),
        dropped=rows("build_dataset", Dropped),
        dataset_counts=counts("build_dataset"),
        training=one("train", Training),
        decision=by_step["decide"].detail if "decide" in by_step else None,
        test_gain=gain,
    )


def _anchors(objects: ObjectStore, by_step: Mapping[str, Result]) -> list[Anchor]:
    """Dev images with the cells in which they failed; failures of an earlier release have none."""
    uri = by_step["mine_failures"].uri if "mine_failures" in by_step else ""
    return read_rows(objects, uri, Anchor) if uri and "anchors.jsonl" in read_manifest(objects, uri).files else []
