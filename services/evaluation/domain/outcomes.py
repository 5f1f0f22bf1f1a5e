"""What became of each item of a benchmark: its answers, and whether it is a failure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.evaluation.domain.capabilities import capability_labels
from services.evaluation.domain.failure_text import failure_text
from services.evaluation.domain.failures import error_rate, is_failure
from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer
from shared.rows.failures import Failure, PrototypeRow


@dataclass(frozen=True)
class Outcome:
    """An item with the answers that it got, in the order of the runs, and whether it is a failure (None: UNSCORED)."""

    item: Item
    answers: Sequence[Answer]
    is_failure: bool | None

    @property
    def capabilities(self) -> tuple[str, ...]:
        """See `capability_labels`."""
        return capability_labels(self.item)

    @property
    def text(self) -> str:
        """Of a failure, see `failure_text`."""
        wrong = [answer.choice for answer in self.answers if _is_right(answer) is False]
        return failure_text(self.item.question, self.item.options, wrong)


def outcomes_of(items: Sequence[Item], answers: Iterable[Answer], *, gamma: float, n_runs: int) -> list[Outcome]:
    """The outcome of every item, sorted by item_id; `gamma` and `n_runs` as for `is_failure`."""
    given: dict[str, list[Answer]] = {item.item_id: [] for item in items}
    for answer in sorted(answers, key=lambda answer: (answer.item_id, answer.run)):
        given[answer.item_id].append(answer)
    outcomes = []
    for item in sorted(items, key=lambda item: item.item_id):
        runs = given[item.item_id]
        failed = is_failure(_results(runs), gamma=gamma, n_runs=n_runs)
        outcomes.append(Outcome(item, runs, failed))
    return outcomes


def failure_rows(failed: Iterable[Outcome], prototypes: Iterable[PrototypeRow]) -> list[Failure]:
    """The row of each failure; each is a member of one prototype."""
    prototype_of = {member: prototype.prototype_id for prototype in prototypes for member in prototype.members}
    return [
        Failure(
            item_id=outcome.item.item_id,
            error_rate=error_rate(_results(outcome.answers)),
            n_scored=sum(answer.scored for answer in outcome.answers),
            capabilities=outcome.capabilities,
            prototype_id=prototype_of[outcome.item.item_id],
        )
        for outcome in failed
    ]


def _results(answers: Iterable[Answer]) -> list[bool | None]:
    return [_is_right(answer) for answer in answers]


def _is_right(answer: Answer) -> bool | None:
    """A reply that cannot be read is wrong; None where we could not evaluate."""
    return answer.correct is True if answer.evaluated else None
