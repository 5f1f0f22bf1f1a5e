"""Reads the rows of a run for its lineage: first those that say where an id belongs, then what that round needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from services.controller.domain.lineage import is_about, item_round, sample_lineages
from services.controller.domain.lineage_facts import ItemRound, RoundRows, SampleLineage
from services.controller.store.ledger import Ledger
from services.controller.store.runs import SHARED_ARM, Result, RunStore
from shared.errors import NotFound
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
_Steps = Mapping[str, str]


class Lineages:
    """Lineage of runs.

    Args:
        objects: Where the datasets of a run lie.
        store: What its steps gave.
        ledger: What it cost.
    """

    def __init__(self, objects: ObjectStore, store: RunStore, ledger: Ledger) -> None:
        self._objects, self._store, self._ledger = objects, store, ledger

    def of_sample(self, run_id: str, sample_id: str) -> list[SampleLineage]:
        """Where a sample comes from, in each round that holds it: a replayed one may be in several.

        Raises:
            NotFound: There is no such run, or no such sample in it.
        """
        self._store.get(run_id)
        rounds, found = self._rounds(run_id), []
        for (arm, number), steps in rounds.items():
            rows = self._drawn(arm, number, steps)
            if is_about(rows, sample_id):
                later = rounds.get((arm, number + 1), {})
                found += sample_lineages(
                    self._with_errors(rows, steps, later), sample_id, self._ledger.all_entries(run_id)
                )
        if not found:
            raise _unknown("sample_id", sample_id, "`lineage.jsonl` of a training set and `decisions.jsonl` list ids.")
        return found

    def of_item(self, run_id: str, item_id: str) -> tuple[Item, list[ItemRound]]:
        """How a dev item was answered round by round, and what was done about it.

        Raises:
            NotFound: There is no such run, or no such item of dev.
        """
        self._store.get(run_id)
        item = next((row for row in self._dev_items(run_id) if row.item_id == item_id), None)
        if item is None:
            raise _unknown("item_id", item_id, "The ids are those of the column `index` of the table of dev.")
        rounds = []
        for (arm, number), steps in self._rounds(run_id).items():
            rows = self._with_errors(self._drawn(arm, number, steps), steps, {})
            rounds.append(item_round(rows, item_id))
        return item, [one for one in rounds if one is not None]

    def _rounds(self, run_id: str) -> dict[tuple[str, int], dict[str, str]]:
        """Arm and round to the datasets of its steps, in the order in which they came."""
        rounds: dict[tuple[str, int], dict[str, str]] = {}
        for result in self._store.results(run_id):
            if result.arm != SHARED_ARM and result.uri:
                rounds.setdefault((result.arm, result.round), {})[result.step] = result.uri
        return rounds

    def _dev_items(self, run_id: str) -> Iterator[Item]:
        imported: list[Result] = [one for one in self._store.results(run_id) if one.step == "import_dev"]
        for result in imported:
            yield from iterate_rows(self._objects, result.uri, Item)

    def _drawn(self, arm: str, number: int, steps: _Steps) -> RoundRows:
        """What was drawn, decided and trained on in a round."""
        return RoundRows(
            arm,
            number,
            samples=self._rows(steps, "select_samples", Sample),
            decisions=self._rows(steps, "annotate", Decision),
            unanswered=self._rows(steps, "annotate", Unanswered),
            trained=self._rows(steps, "build_dataset", Lineage),
            dropped=self._rows(steps, "build_dataset", Dropped),
            dataset_uri=steps.get("build_dataset", ""),
        )

    def _with_errors(self, rows: RoundRows, steps: _Steps, later: _Steps) -> RoundRows:
        """The same round with the errors that were looked for in it, and those of the round after it."""
        mined = "mine_failures" in steps

        def later_or_none(step: str, row: type[RowT]) -> list[RowT] | None:
            return self._rows(later, step, row) if step in later else None

        return replace(
            rows,
            answers=self._rows(steps, "evaluate_dev", Answer),
            later_answers=later_or_none("evaluate_dev", Answer),
            failures=self._rows(steps, "mine_failures", Failure) if mined else None,
            prototypes=self._rows(steps, "mine_failures", PrototypeRow),
            capabilities=self._rows(steps, "mine_failures", CapabilityErrorRate),
            later_capabilities=later_or_none("mine_failures", CapabilityErrorRate),
            strategy=self._strategy(steps),
        )

    def _strategy(self, steps: _Steps) -> str:
        """How the images of a round were drawn in fact; "" before they were."""
        if "select_samples" not in steps:
            return ""
        selection = read_object(self._objects, steps["select_samples"], Selection)
        return "failure_driven" if selection.fallback else selection.strategy

    def _rows(self, steps: _Steps, step: str, row: type[RowT]) -> list[RowT]:
        return read_rows(self._objects, steps[step], row) if step in steps else []


def _unknown(field: str, value: str, remedy: str) -> NotFound:
    return NotFound("The run knows no such id.", field=field, value=value, remedy=remedy)
