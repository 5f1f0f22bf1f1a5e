"""How reviewers decide, from the tasks of a run that they have decided about."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from services.oracle.domain.agreement import REJECTED, Pair, krippendorff_alpha, pairs_of
from services.oracle.domain.opinions import outcome_of
from services.oracle.domain.review import THIRD, QueueEntry, Verdict

Decided = tuple[QueueEntry, Verdict]


@dataclass(frozen=True)
class Agreement:
    """Of the questions that two experts have answered, each without the other.

    Attributes:
        n: Such questions.
        n_same: Of these, where they agree.
        alpha: Krippendorff's, at most 1; None where it is undefined.
        pairs: Each two reviewers.
    """

    n: int
    n_same: int
    alpha: float | None
    pairs: Sequence[Pair]


def agreement_of(decided: Iterable[Decided]) -> Agreement:
    """How well two experts agree; what a third one said, who has seen both, is left out."""
    items: dict[str, dict[str, Hashable]] = {}
    for entry, verdict in decided:
        if entry.item and entry.opinion != THIRD:
            items.setdefault(entry.item, {})[verdict.reviewer] = _label(entry, verdict)
    units = [item for item in items.values() if len(item) == 2]
    pairs = pairs_of(units)
    alpha = krippendorff_alpha([list(unit.values()) for unit in units])
    return Agreement(len(units), sum(pair.n_same for pair in pairs), alpha, pairs)


def _label(entry: QueueEntry, verdict: Verdict) -> Hashable:
    """The text of the adopted option; letters mean another thing in each question."""
    outcome = outcome_of(verdict)
    return REJECTED if outcome is None else entry.asked.question.options.get(outcome, outcome)
