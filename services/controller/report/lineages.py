"""Reads the rows of a run for its lineage: first those that say where an id belongs, then what that round needs."""

from __future__ import annotations

from services.controller.domain.lineage import is_about, item_round, sample_lineages
from services.controller.domain.lineage_facts import ItemRound, SampleLineage
from services.controller.report.rounds import RoundReader
from services.controller.store.ledger import Ledger
from services.controller.store.runs import RunStore
from shared.errors import NotFound
from shared.objects.store import ObjectStore
from shared.rows.benchmark import Item


class Lineages:
    """Lineage of runs.

    Args:
        objects: Where the datasets of a run lie.
        store: What its steps gave.
        ledger: What it cost.
    """

    def __init__(self, objects: ObjectStore, store: RunStore, ledger: Ledger) -> None:
        self._read, self._store, self._ledger = RoundReader(objects, store), store, ledger

    def of_sample(self, run_id: str, sample_id: str) -> list[SampleLineage]:
        """Where a sample comes from, in each round that holds it: a replayed one may be in several.

        Raises:
            NotFound: There is no such run, or no such sample in it.
        """
        self._store.get(run_id)
        rounds, found = self._read.rounds(run_id), []
        for (arm, number), steps in rounds.items():
            rows = self._read.drawn(arm, number, steps)
            if is_about(rows, sample_id):
                later = rounds.get((arm, number + 1), {})
                found += sample_lineages(
                    self._read.with_errors(rows, steps, later), sample_id, self._ledger.all_entries(run_id)
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
        item = next((row for row in self._read.dev_items(run_id) if row.item_id == item_id), None)
        if item is None:
            raise _unknown("item_id", item_id, "The ids are those of the column `index` of the table of dev.")
        rounds = []
        for (arm, number), steps in self._read.rounds(run_id).items():
            rows = self._read.with_errors(self._read.drawn(arm, number, steps), steps, {})
            rounds.append(item_round(rows, item_id))
        return item, [one for one in rounds if one is not None]


def _unknown(field: str, value: str, remedy: str) -> NotFound:
    return NotFound("The run knows no such id.", field=field, value=value, remedy=remedy)
