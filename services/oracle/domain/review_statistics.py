"""How reviewers decide, from the tasks of a run that they have decided about."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from services.oracle.domain.agreement import REJECTED, Pair, krippendorff_alpha, pairs_of
from services.oracle.domain.review import ACCEPT, EDIT, REJECT, THIRD, QueueEntry, Verdict

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


@dataclass
class Tally:
    """What was decided by somebody, or of a cell.

    Attributes:
        n: Decisions, but for those that only measure.
        accepted, edited, rejected: Of these, by action.
        active_seconds: That all decisions took, also those that only measure.
        accept_seconds: Of each acceptance.
        planted, planted_accepted: Planted errors, and those of them that were taken for right.
        blind, blind_same: Blind questions, and those of them that were answered as it had been proposed.
        calibration, calibration_right: Questions with a known answer, and those of them that were answered so.
    """

    n: int = 0
    accepted: int = 0
    edited: int = 0
    rejected: int = 0
    active_seconds: float = 0.0
    planted: int = 0
    planted_accepted: int = 0
    blind: int = 0
    blind_same: int = 0
    calibration: int = 0
    calibration_right: int = 0
    accept_seconds: list[float] = field(default_factory=list)

    def add(self, entry: QueueEntry, verdict: Verdict) -> None:
        """Count a decision."""
        self.active_seconds += verdict.active_seconds
        if entry.known_answer:
            self.calibration += 1
            self.calibration_right += verdict.answer == entry.known_answer
            return
        if verdict.action == ACCEPT:
            self.accept_seconds.append(verdict.active_seconds)
        if entry.planted:
            self.planted += 1
            self.planted_accepted += verdict.answer == entry.planted
            return
        self.n += 1
        self.accepted += verdict.action == ACCEPT
        self.edited += verdict.action == EDIT
        self.rejected += verdict.action == REJECT
        self.blind += entry.is_blind
        self.blind_same += entry.is_blind and verdict.answer == entry.asked.proposal

    @property
    def median_accept_seconds(self) -> float | None:
        """Of the acceptances, also those of planted errors; None without one."""
        return median(self.accept_seconds) if self.accept_seconds else None


@dataclass
class Statistics:
    """How the tasks of a run were decided: by reviewer, by cell (modality, attribute), and how well two agree."""

    agreement: Agreement
    reviewers: dict[str, Tally]
    cells: dict[tuple[str, str], Tally]


def statistics_of(decided: Iterable[Decided]) -> Statistics:
    """The figures of a run; a decision that was taken back is in none of them."""
    items: dict[str, dict[str, Hashable]] = {}
    reviewers: dict[str, Tally] = {}
    cells: dict[tuple[str, str], Tally] = {}
    for entry, verdict in decided:
        reviewers.setdefault(verdict.reviewer, Tally()).add(entry, verdict)
        cells.setdefault((entry.asked.modality, entry.asked.attribute), Tally()).add(entry, verdict)
        if entry.item and entry.opinion != THIRD:
            items.setdefault(entry.item, {})[verdict.reviewer] = _label(entry, verdict)
    return Statistics(_agreement_of(items.values()), dict(sorted(reviewers.items())), dict(sorted(cells.items())))


def _agreement_of(items: Iterable[dict[str, Hashable]]) -> Agreement:
    units = [item for item in items if len(item) == 2]
    pairs = pairs_of(units)
    alpha = krippendorff_alpha([list(unit.values()) for unit in units])
    return Agreement(len(units), sum(pair.n_same for pair in pairs), alpha, pairs)


def _label(entry: QueueEntry, verdict: Verdict) -> Hashable:
    """The text of the adopted option; letters mean another thing in each question."""
    answer = verdict.answer
    return REJECTED if answer is None else entry.asked.question.options.get(answer, answer)
