"""What became of each item of a benchmark: its answers, and whether it is a failure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.evaluation.domain.capabilities import capability_labels
from services.evaluation.domain.descriptions import grade_sum
from services.evaluation.domain.failure_text import described_text, failure_text
from services.evaluation.domain.failures import capability_error_rates, error_rate, is_failure
from services.evaluation.domain.reply_text import without_thoughts
from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer
from shared.rows.failures import CapabilityErrorRate, Failure, PrototypeRow


@dataclass(frozen=True)
class Outcome:
    """An item with the answers that it got, in the order of the runs, and whether it is a failure (None: UNSCORED).

    Its `cell` is what images are drawn for, see `cells`.
    """

    item: Item
    answers: Sequence[Answer]
    is_failure: bool | None
    cell: str

    @property
    def labels(self) -> tuple[str, ...]:
        """See `capability_labels`."""
        return capability_labels(self.item)

    @property
    def text(self) -> str:
        """Of a failure, see `failure_text` and `described_text`."""
        wrong = [answer for answer in self.answers if _is_right(answer) is False]
        if self.item.options:
            return failure_text(self.item.question, self.item.options, [answer.choice for answer in wrong])
        replies = [(_sum(answer), without_thoughts(answer.answer)) for answer in wrong]
        return described_text(self.item.question, self.item.answer, replies)


def outcomes_of(
    items: Sequence[Item], answers: Iterable[Answer], cell_of: Mapping[str, str], *, gamma: float, n_runs: int
) -> list[Outcome]:
    """The outcome of every item, sorted by item_id; `cell_of` from `cells`, `gamma` and `n_runs` as for `is_failure`."""
    given: dict[str, list[Answer]] = {item.item_id: [] for item in items}
    for answer in sorted(answers, key=lambda answer: (answer.item_id, answer.run)):
        given[answer.item_id].append(answer)
    outcomes = []
    for item in sorted(items, key=lambda item: item.item_id):
        runs = given[item.item_id]
        failed = is_failure(_results(runs), gamma=gamma, n_runs=n_runs)
        outcomes.append(Outcome(item, runs, failed, cell_of[item.item_id]))
    return outcomes


def capability_rows(outcomes: Sequence[Outcome]) -> list[CapabilityErrorRate]:
    """Eq. (1) of the cells, which images are drawn for, then of every single label, which is only reported."""
    drawn_for = capability_error_rates(((outcome.cell,), outcome.is_failure) for outcome in outcomes)
    labels = ((outcome.labels, outcome.is_failure) for outcome in outcomes)
    return [*drawn_for, *capability_error_rates(labels, is_drawn_for=False)]


def failure_rows(failed: Iterable[Outcome], prototypes: Iterable[PrototypeRow]) -> list[Failure]:
    """The row of each failure; each is a member of one prototype."""
    prototype_of = {member: prototype.prototype_id for prototype in prototypes for member in prototype.members}
    return [
        Failure(
            item_id=outcome.item.item_id,
            error_rate=error_rate(_results(outcome.answers)),
            n_scored=sum(answer.scored for answer in outcome.answers),
            capabilities=tuple(dict.fromkeys((outcome.cell, *outcome.labels))),
            prototype_id=prototype_of[outcome.item.item_id],
        )
        for outcome in failed
    ]


def _results(answers: Iterable[Answer]) -> list[bool | None]:
    return [_is_right(answer) for answer in answers]


def _sum(answer: Answer) -> int:
    """Of the grades of a description; 0 of one that says nothing."""
    return grade_sum(answer.judgement) if answer.judgement else 0


def _is_right(answer: Answer) -> bool | None:
    """A reply that cannot be read, and an empty description, is wrong; None where we could not evaluate."""
    return answer.correct is True if answer.evaluated else None
