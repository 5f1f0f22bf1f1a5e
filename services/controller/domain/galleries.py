"""What galleries show: the images that searches drew, with what became of each, and the items of dev behind them or in a cell."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.controller.domain.lineage import shown_reply
from services.controller.domain.searches import failures_behind, search_of
from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer
from shared.rows.failures import Failure, PrototypeRow
from shared.rows.selection import Sample


@dataclass(frozen=True)
class DevAnswers:
    """How an item was answered in a round; see `medq.controller.v1.DevAnswers`."""

    round: int
    n_runs: int
    n_wrong: int
    replies: Mapping[str, int]

    @property
    def share_wrong(self) -> float:
        """Share of the evaluated runs that were wrong or unreadable, 0..1."""
        return self.n_wrong / self.n_runs


@dataclass(frozen=True)
class DevItem:
    """An item with its answers, those of the earliest round first; `search` is "" where none was asked for."""

    item: Item
    search: str
    answers: Sequence[DevAnswers]


def drawn_by(samples: Iterable[Sample], searches: Sequence[str], most_each: int) -> list[tuple[str, Sample]]:
    """What searches drew, search by search in their order, each in that of the selection.

    Args:
        samples: The draw.
        searches: Names of searches, different ones.
        most_each: Of each so many at most; 0: all.
    """
    drawn: dict[str, list[Sample]] = {name: [] for name in searches}
    for sample in samples:
        if (name := search_of(sample)) in drawn:
            drawn[name].append(sample)
    return [(name, sample) for name in searches for sample in drawn[name][: most_each or None]]


def failed_items(
    failures: Iterable[Failure], prototypes: Iterable[PrototypeRow], searches: Sequence[str]
) -> list[tuple[str, str]]:
    """Search and id of each failed item behind searches."""
    known, by_name = list(failures), {row.prototype_id: row for row in prototypes}
    return [(name, failure.item_id) for name in searches for failure in failures_behind(known, by_name.get(name), name)]


def with_answers(
    wanted: Sequence[tuple[str, Item]], answers: Mapping[int, Iterable[Answer]], number: int, most_each: int
) -> list[DevItem]:
    """Items with how they were answered, search by search; within one the largest share of wrong runs first.

    Args:
        wanted: Search ("" for none) and item.
        answers: Round to every answer to dev; by the base model it is 0.
        number: The round that the order goes by; then the base model, then the id. What was not evaluated comes last.
        most_each: Of each search so many at most; 0: all.
    """
    told: dict[str, list[DevAnswers]] = defaultdict(list)
    ids = {item.item_id for _, item in wanted}
    for when in sorted(answers):
        by_item: dict[str, list[Answer]] = defaultdict(list)
        for row in answers[when]:
            if row.item_id in ids and row.evaluated:
                by_item[row.item_id].append(row)
        for item_id, rows in by_item.items():
            replies = Counter(shown_reply(row) for row in rows)
            wrong = sum(row.correct is not True for row in rows)
            told[item_id].append(DevAnswers(when, len(rows), wrong, replies))

    def order(one: DevItem) -> tuple[float, float, str]:
        shares = {by.round: by.share_wrong for by in one.answers}
        return -shares.get(number, -1.0), -shares.get(0, -1.0), one.item.item_id

    found: dict[str, list[DevItem]] = defaultdict(list)
    for search, item in wanted:
        found[search].append(DevItem(item, search, told[item.item_id]))
    return [one for group in found.values() for one in sorted(group, key=order)[: most_each or None]]
