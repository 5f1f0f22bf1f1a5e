"""Reads what the rounds of a run gave: the rows of their steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from services.controller.domain.lineage_facts import RoundRows
from services.controller.store.runs import SHARED_ARM, Result, RunStore
from shared.objects.dataset import iterate_rows, read_object, read_rows
from shared.objects.store import ObjectStore
from shared.rows.annotation import Decision, Unanswered
from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer
from shared.rows.failures import CapabilityErrorRate, Failure, PrototypeRow
from shared.rows.fields import Row
from shared.rows.selection import Sample, Selection
from shared.rows.training import Dropped, Lineage

RowT = TypeVar("RowT", bound=Row)
#: The datasets of the steps of a round, by step.
Uris = Mapping[str, str]


class RoundReader:
    """The rounds of runs.

    Args:
        objects: Where the datasets of a run lie.
        store: What its steps gave.
    """

    def __init__(self, objects: ObjectStore, store: RunStore) -> None:
        self._objects, self._store = objects, store

    def rounds(self, run_id: str) -> dict[tuple[str, int], dict[str, str]]:
        """Arm and round to the datasets of its steps, arm after arm in the order in which they came."""
        rounds: dict[tuple[str, int], dict[str, str]] = {}
        for result in self._store.results(run_id):
            if result.arm != SHARED_ARM and result.uri:
                rounds.setdefault((result.arm, result.round), {})[result.step] = result.uri
        arms = list(dict.fromkeys(arm for arm, _ in rounds))
        return dict(sorted(rounds.items(), key=lambda one: arms.index(one[0][0])))

    def dev_items(self, run_id: str) -> Iterator[Item]:
        """The items of dev; nothing before it was brought in."""
        imported: list[Result] = [one for one in self._store.results(run_id) if one.step == "import_dev"]
        for result in imported:
            yield from iterate_rows(self._objects, result.uri, Item)

    def drawn(self, arm: str, number: int, steps: Uris) -> RoundRows:
        """What was drawn, decided and trained on in a round."""
        return RoundRows(
            arm,
            number,
            samples=self.rows(steps, "select_samples", Sample),
            decisions=self.rows(steps, "annotate", Decision),
            unanswered=self.rows(steps, "annotate", Unanswered),
            trained=self.rows(steps, "build_dataset", Lineage),
            dropped=self.rows(steps, "build_dataset", Dropped),
            dataset_uri=steps.get("build_dataset", ""),
        )

    def with_errors(self, rows: RoundRows, steps: Uris, later: Uris) -> RoundRows:
        """The same round with the errors that were looked for in it, and those of the round after it."""
        mined = "mine_failures" in steps

        def later_or_none(step: str, row: type[RowT]) -> list[RowT] | None:
            return self.rows(later, step, row) if step in later else None

        return replace(
            rows,
            answers=self.rows(steps, "evaluate_dev", Answer),
            later_answers=later_or_none("evaluate_dev", Answer),
            failures=self.rows(steps, "mine_failures", Failure) if mined else None,
            prototypes=self.rows(steps, "mine_failures", PrototypeRow),
            capabilities=self.rows(steps, "mine_failures", CapabilityErrorRate),
            later_capabilities=later_or_none("mine_failures", CapabilityErrorRate),
            strategy=self._strategy(steps),
        )

    def _strategy(self, steps: Uris) -> str:
        """How the images of a round were drawn in fact; "" before they were."""
        if "select_samples" not in steps:
            return ""
        selection = read_object(self._objects, steps["select_samples"], Selection)
        return selection.drawn_by or selection.strategy

    def rows(self, steps: Uris, step: str, row: type[RowT]) -> list[RowT]:
        """The rows of this type of a step; none before it is done."""
        return read_rows(self._objects, steps[step], row) if step in steps else []
