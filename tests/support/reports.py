"""Parts of a report, as the loop would give them: a configuration, a round with everything in it, and what was measured."""

import dataclasses

from msgspec.structs import replace

from services.controller.configuration.models import RunConfiguration
from services.controller.domain.richness import richness
from services.controller.domain.round_facts import RoundFacts
from shared.rows.annotation import Decision, Summary
from shared.rows.evaluation import Score, Scores
from shared.rows.failures import CapabilityErrorRate, PrototypeRow
from shared.rows.selection import Selection
from shared.rows.training import Dropped, LossPoint, Training
from tests.support.rows import build


def configuration(oracle="simulated", expert="simulated", arms=("failure_driven", "random")):
    data = {"pool": "/p", "pool_answers": "/a", "dev": "/d", "test": "/t"}
    annotate = {"oracle": oracle, "expert": expert}
    return RunConfiguration(name="n", data=data, model="/m", arms=arms, annotate=annotate).model_dump(mode="json")


def scores(value):
    overall = Score(value=value, low=value, high=value, n=40, unscored=1, scored=1.0, coverage=0.625, n_sources=4)
    return build(Scores, perception=replace(build(Scores).perception, overall=overall))


def full_round(image_id):
    gain = {"value": 0.1, "low": 0.0, "high": 0.2, "n": 4}
    curve = tuple(LossPoint(step=step, loss=3.0 - step, learning_rate=0.1) for step in (1, 2))
    return RoundFacts(
        round=0,
        dev=scores(0.25),
        test=scores(0.5),
        capabilities=[
            build(CapabilityErrorRate, capability="modality:ct", error_rate=0.9, is_drawn_for=False),
            build(CapabilityErrorRate, capability="a:x+b:y", error_rate=0.2),
            build(CapabilityErrorRate, capability="a:x", error_rate=None),
            build(CapabilityErrorRate, capability="b:y", error_rate=0.4),
        ],
        prototypes=[build(PrototypeRow, image_ids=(image_id,))],
        failure_counts={"items": 4, "failures": 1, "unscored": 0, "prototypes": 1, "merged": 2},
        selection=build(Selection, selected=2, reason="pool spent", excluded={"used": 3}),
        richness=richness({"i": {("ct", "metal_artifact")}, "j": {("ct", "noise")}}, ["i"], [build(CapabilityErrorRate)]),
        decisions=[
            build(Decision, route="review", expert_action="edit"),
            build(Decision, route="self", expert_action=""),
        ],
        summary=build(Summary),
        dropped=[build(Dropped, reason="x")] * 2,
        dataset_counts={"samples": 3, "new": 2, "replay": 1, "dropped": 2},
        training=build(Training, n_steps=7, loss_curve=curve, settings={"a": 1}),
        decision={
            "reason": "", "is_promoted": True, "gain": gain, "gains_by_modality": {"ct": gain}, "regressions": [],
            "verdict": "unclear", "detectable_gain": 0.05, "correlation": None,
            "over_best": {name: {"round": 0, "gain": gain} for name in ("overall", "ct", "mri")},
        },
    )  # fmt: skip


MEASURED = {
    "run_id": "r", "create_time": "2026-01-01T00:00:00+00:00", "failure": None, "steps": [], "promoted_models": {"a": "sha256:x"},
    "ledger": {"oracle": {"settled": {
        "n": 1, "n_simulated": 1, "usd": 3.0, "tokens": 1, "expert_seconds": 0.0, "compute_seconds": 0.0,
        "n_usage_unstated": 1, "usd_usage_unstated": 3.0,
    }}},
}  # fmt: skip


def decided(number, dev, is_promoted=True, test=None):
    facts = full_round("0" * 64)
    decision = {**facts.decision, "is_promoted": is_promoted}
    return dataclasses.replace(facts, round=number, dev=scores(dev), test=scores(test or dev), decision=decision)
