"""What is known of the rounds of an arm: what the steps of a run gave, as the report and its losses read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.controller.domain.comparisons import RoundGain
from shared.rows.annotation import Decision, Summary
from shared.rows.evaluation import Scores, Unscored
from shared.rows.failures import CapabilityErrorRate, PrototypeRow
from shared.rows.selection import Selection
from shared.rows.training import Dropped, Training

Json = dict[str, Any]


@dataclass(frozen=True)
class RoundFacts:
    """What is known of one round of one arm; None where the loop has not been.

    Attributes:
        round: From 0; the model after so many trainings.
        unscored: Split to what its evaluation could not evaluate.
        failure_counts, dataset_counts: `counts` of the manifests.
        richness: See `services.controller.domain.richness`.
        searches: See `services.controller.domain.searches`.
        decision: Why the arm stopped here, or that it went on, and what that rests on.
        test_gain: What it gained on test; None for the base model.
    """

    round: int
    dev: Scores | None = None
    test: Scores | None = None
    unscored: Mapping[str, Sequence[Unscored]] = field(default_factory=dict)
    capabilities: Sequence[CapabilityErrorRate] = ()
    prototypes: Sequence[PrototypeRow] = ()
    failure_counts: Mapping[str, int] | None = None
    selection: Selection | None = None
    richness: Json | None = None
    searches: Sequence[Json] = ()
    decisions: Sequence[Decision] = ()
    summary: Summary | None = None
    dropped: Sequence[Dropped] = ()
    dataset_counts: Mapping[str, int] | None = None
    training: Training | None = None
    decision: Json | None = None
    test_gain: RoundGain | None = None


@dataclass(frozen=True)
class ArmFacts:
    """An arm: its settings, its rounds in order, and why it stopped (None while it is at work)."""

    name: str
    strategy: str
    questions: str
    stop_reason: str | None
    rounds: Sequence[RoundFacts] = field(default_factory=tuple)
