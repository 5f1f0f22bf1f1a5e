"""Assembles `report.json` from what the steps of a run gave. Knows nothing of stores, services or files.

Everything outside the block `measured` follows from the configuration and the data alone, so an undisturbed run and one that
was killed and went on give the same bytes there. `docs/report.schema.json` is its JSON Schema.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from msgspec import to_builtins

from services.controller.domain.annotators import annotators_of, conditions_of, simulated_of
from services.controller.domain.changes import changes
from services.controller.domain.comparisons import ArmGain, TestAnswers
from services.controller.domain.evaluation_sets import dev_set_of, test_set_of
from services.controller.domain.further_tests import FurtherTest, further_tests
from services.controller.domain.judge_drift import judge_drift
from services.controller.domain.losses import losses
from services.controller.domain.promotion import best_rounds
from services.controller.domain.result import result_of
from services.controller.domain.round_facts import ArmFacts, RoundFacts
from services.controller.domain.side_by_side import side_by_side
from services.controller.domain.unscored import unscored_items
from services.controller.domain.weakness import weakness
from shared.left_out import SetFacts
from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer
from shared.rows.failures import CapabilityErrorRate
from shared.rows.selection import Selection
from shared.rows.training import Training

Json = dict[str, Any]
SCHEMA_VERSION = 2
#: Images of a prototype that the report names.
_IMAGES_PER_PROTOTYPE = 8
#: The keys of the section `data` that are paths, and the one whose values are.
DATA_PATHS = ("pool", "pool_answers", "dev", "test", "replay")
FURTHER_TESTS = "further_tests"


def assemble(
    configuration: Json,
    arms: Sequence[ArmFacts],
    measured: Json,
    comparisons: Sequence[ArmGain] = (),
    sets: Sequence[SetFacts] = (),
    answers: TestAnswers | None = None,
    items: Sequence[Item] = (),
    further: Sequence[FurtherTest] = (),
) -> Json:
    """The report.

    Args:
        configuration: The effective one; its paths move to `measured`.
        arms: In the order of the configuration.
        measured: Every time, cost, path and URI.
        comparisons: What arms gained on test over each other.
        sets: What was brought in.
        answers: Every answer on test.
        items: The questions of test.
        further: The further tests.
    """
    settings, paths = _split_paths(configuration)
    told = {arm.name: _arm(arm, (answers or {}).get(arm.name, {}), items, configuration["seed"]) for arm in arms}
    compared = [asdict(one) for one in comparisons]
    result = result_of(told, compared, conditions_of(configuration))
    return {
        "schema_version": SCHEMA_VERSION,
        "name": configuration["name"],
        "config": settings,
        "result": result,
        "simulated": simulated_of(configuration),
        "annotators": annotators_of(configuration),
        "is_complete": all(arm.stop_reason is not None for arm in arms),
        "dev_set": dev_set_of(configuration, arms),
        "test_set": test_set_of(items),
        "further_tests": further_tests(further, seed=configuration["seed"]),
        "losses": losses(sets, arms),
        "arms": told,
        "comparisons": compared,
        "side_by_side": side_by_side(answers or {}, result, items, seed=configuration["seed"]),
        "judge_drift": [asdict(one) for one in judge_drift(arms)],
        "measured": {**measured, "paths": paths},
    }


def _arm(arm: ArmFacts, answers: Mapping[int, Sequence[Answer]], items: Sequence[Item], seed: int) -> Json:
    promoted = promoted_of(arm)
    number = promoted["round"] if promoted else 0
    return {
        "strategy": arm.strategy,
        "questions": arm.questions,
        "stop_reason": arm.stop_reason,
        "promoted": promoted,
        "weakness": weakness(answers, number, seed=seed),
        "changes": changes(answers, number, items),
        "rounds": [{**_round(facts), "n_answers": _answers_before(arm, facts.round)} for facts in arm.rounds],
    }


def _answers_before(arm: ArmFacts, number: int) -> int:
    """How many answers the arm had bought when its round `number` was evaluated."""
    return sum(len(facts.decisions) for facts in arm.rounds if facts.round < number and facts.summary is not None)


def promoted_of(arm: ArmFacts) -> Json | None:
    """The round whose model comes out of an arm, so far: the promoted one with the highest accuracy on dev.

    An arm that stopped before any decision gives back the base model; one that is at work without a decision nothing yet.
    """
    promoted = {
        facts.round: facts.dev
        for facts in arm.rounds
        if facts.dev is not None and facts.decision is not None and facts.decision["is_promoted"]
    }
    if not promoted and arm.stop_reason is None:
        return None
    number = best_rounds(promoted).overall if promoted else 0
    scores = {facts.round: facts for facts in arm.rounds}.get(number, RoundFacts(number))
    overall = {
        split: None if own is None else to_builtins(own.perception.overall)
        for split, own in (("dev", scores.dev), ("test", scores.test))
    }
    return {"round": number, **overall}


def _round(facts: RoundFacts) -> Json:
    decision = facts.decision
    return {
        "round": facts.round,
        "dev": to_builtins(facts.dev),
        "test": to_builtins(facts.test),
        "unscored": unscored_items(facts.unscored),
        "is_promoted": None if decision is None else bool(decision["is_promoted"]),
        "decision": decision,
        "test_gain": None if facts.test_gain is None else asdict(facts.test_gain),
        "failures": _failures(facts),
        "selection": None if facts.selection is None else _selection(facts.selection, facts),
        "annotation": _annotation(facts),
        "dataset": _dataset(facts),
        "training": None if facts.training is None else _training(facts.training),
    }


def _failures(facts: RoundFacts) -> Json | None:
    counts = facts.failure_counts
    if counts is None:
        return None
    prototypes = [
        {
            "prototype_id": row.prototype_id,
            "size": row.size,
            "image_ids": sorted(row.image_ids)[:_IMAGES_PER_PROTOTYPE],
            "profile": row.profile,
        }
        for row in facts.prototypes
    ]
    return {
        "n_failures": counts["failures"],
        "n_items": counts["items"],
        "n_unscored": counts["unscored"],
        "capabilities": to_builtins(sorted(facts.capabilities, key=_worst_first)),
        "n_prototypes": len(prototypes),
        "n_merged": counts.get("merged", 0),
        "prototypes": prototypes,
    }


def _worst_first(row: CapabilityErrorRate) -> tuple[bool, float, str]:
    """Cells before what is only reported, the highest error rate first; what has none is last."""
    return not row.is_drawn_for, 1.0 if row.error_rate is None else -row.error_rate, row.capability


def _selection(selection: Selection, facts: RoundFacts) -> Json:
    found = [to_builtins(row) for row in selection.found]
    return {**to_builtins(selection), "found": found, "searches": list(facts.searches), "richness": facts.richness}


def _annotation(facts: RoundFacts) -> Json | None:
    """Routes and reviews; what they cost is in the ledger, not here."""
    rows, summary = facts.decisions, facts.summary
    if summary is None:
        return None
    agreed = [row.agreement for row in rows if row.agreement is not None]
    return {
        "n_decisions": len(rows),
        "n_simulated": sum(row.simulated for row in rows),
        "routes": _count(row.route for row in rows),
        "actions": _count(row.expert_action for row in rows),
        "review_share": summary.review_share,
        "agreement": sum(agreed) / len(agreed) if agreed else None,
        "residual_error": to_builtins(summary.residual_error),
        "by_route": to_builtins(summary.by_route),
        "route_reasons": summary.route_reasons,
        "n_without_choice": summary.n_without_choice,
        "calibration": to_builtins(summary.calibration),
        "unanswered": summary.unanswered,
        "images_without_question": summary.images_without_question,
        "stopped": summary.stopped,
    }


def _dataset(facts: RoundFacts) -> Json | None:
    if facts.dataset_counts is None:
        return None
    counts = {f"n_{name}": n for name, n in facts.dataset_counts.items() if name != "dropped"}
    return {**counts, "dropped": _count(row.reason for row in facts.dropped)}


def _training(training: Training) -> Json:
    """The numbers of a training, and the loss (nats) at its first and last logged step."""
    losses = [point.loss for point in training.loss_curve]
    return {
        **{key: value for key, value in to_builtins(training).items() if isinstance(value, int | float)},
        "first_loss": losses[0] if losses else None,
        "last_loss": losses[-1] if losses else None,
    }


def _count(values: Iterable[str]) -> dict[str, int]:
    """How often each value occurs; the empty one is left out."""
    return dict(sorted(Counter(value for value in values if value).items()))


def _split_paths(configuration: Json) -> tuple[Json, Json]:
    """The configuration without what names a place on a disk, and those places."""
    data = configuration["data"]
    settings = {
        **{key: value for key, value in configuration.items() if key != "model"},
        "data": {key: value for key, value in data.items() if key not in (*DATA_PATHS, FURTHER_TESTS)},
    }
    further = {f"{FURTHER_TESTS}.{name}": path for name, path in data.get(FURTHER_TESTS, {}).items()}
    return settings, {**{key: data[key] for key in DATA_PATHS}, **further, "model": configuration["model"]}
