"""Lineage both ways, over the rows of a run: what caused a training sample and what became of that error; what was done about an
error of a dev item, round by round.

Round r is the model after r trainings: what was drawn, decided and trained on in round r shows in the answers of round r + 1.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from services.controller.domain.fates import TRAINED_ON, Fates
from services.controller.domain.ledger import Entry
from services.controller.domain.lineage_facts import Cause, ErrorChange, FailedItem, ItemRound, RoundRows, SampleLineage
from services.controller.domain.searches import SHUFFLED, failures_behind
from shared.rows.annotation import Decision
from shared.rows.evaluation import Answer
from shared.rows.failures import CapabilityErrorRate
from shared.rows.selection import Sample
from shared.rows.vocabulary import OTHER

_LONGEST_REPLY = 80


def is_about(rows: RoundRows, sample_id: str) -> bool:
    """Whether an id names a drawn sample, a decision or a training sample of this round."""
    return (
        any(row.sample_id == sample_id for row in rows.samples)
        or any(row.decision_id == sample_id for row in rows.decisions)
        or any(row.id == sample_id for row in rows.trained)
    )


def sample_lineages(rows: RoundRows, sample_id: str, costs: Iterable[Entry]) -> list[SampleLineage]:
    """What is known of a sample: one entry for each decision about it, or for the decision that the id names.

    Args:
        rows: Of a round that the id is of.
        sample_id: Of a drawn sample, a decision, or a sample of a training set.
        costs: The ledger; an outside call has the sample's id as a part of its key.
    """
    decisions = [row for row in rows.decisions if sample_id in (row.decision_id, row.sample_id)]
    drawn = {row.sample_id: row for row in rows.samples}
    if decisions:
        return [_of_decision(rows, row, drawn.get(row.sample_id), _about(costs, row.sample_id)) for row in decisions]
    if sample_id in drawn:
        return [_of_sample(rows, drawn[sample_id], _about(costs, sample_id))]
    replayed = [row for row in rows.trained if row.id == sample_id]
    return [
        SampleLineage(
            rows.arm, rows.round, row.kind, "", row.id, row.image_id, row.image_uri, row.modality, row.source_id,
            None, None, TRAINED_ON, rows.dataset_uri,
        )
        for row in replayed
    ]  # fmt: skip


def item_round(rows: RoundRows, item_id: str) -> ItemRound | None:
    """How a dev item was answered in a round, and what was drawn, decided and trained on for its prototype or cell.

    Returns: None where the item was not evaluated.
    """
    answers = sorted((row for row in rows.answers if row.item_id == item_id), key=lambda row: row.run)
    if not answers:
        return None
    wrong, shown = sum(row.correct is not True for row in answers), tuple(shown_reply(row) for row in answers)
    own = next((row for row in rows.failures or () if row.item_id == item_id), None)
    if own is None:
        return ItemRound(rows.arm, rows.round, len(answers), wrong, shown, None if rows.failures is None else False)
    cell = own.capabilities[0] if own.capabilities else ""
    is_by_prototype = any(row.prototype_id for row in rows.samples)
    drawn = {
        row.sample_id
        for row in rows.samples
        if (row.prototype_id == own.prototype_id if is_by_prototype else bool(cell) and row.capability == cell)
    }
    decided = [row for row in rows.decisions if row.sample_id in drawn]
    learned = {row.id for row in rows.trained}
    return ItemRound(
        rows.arm,
        rows.round,
        len(answers),
        wrong,
        shown,
        True,
        capability=cell,
        prototype_id=own.prototype_id,
        sample_ids=tuple(sorted(drawn)),
        decided=dict(sorted(Counter[str](row.route for row in decided).items())),
        n_trained=sum(row.decision_id in learned for row in decided),
    )


def _of_decision(rows: RoundRows, row: Decision, drawn: Sample | None, costs: tuple[Entry, ...]) -> SampleLineage:
    cause = _cause(rows, row.prototype_id, row.capability, drawn)
    return SampleLineage(
        rows.arm, rows.round, "new", row.sample_id, row.decision_id, row.image_id, row.image_uri, row.modality, row.source_id,
        cause, row, Fates(rows).of_decision(row), rows.dataset_uri, costs, _changes(rows, cause),
    )  # fmt: skip


def _of_sample(rows: RoundRows, row: Sample, costs: tuple[Entry, ...]) -> SampleLineage:
    cause = _cause(rows, row.prototype_id, row.capability, row)
    return SampleLineage(
        rows.arm, rows.round, "new", row.sample_id, "", row.image_id, row.image_uri, row.modality, row.source_id,
        cause, None, Fates(rows).of_undecided(row.sample_id), "", costs, _changes(rows, cause),
    )  # fmt: skip


def _cause(rows: RoundRows, prototype_id: str, capability: str, drawn: Sample | None) -> Cause:
    prototype = next((one for one in rows.prototypes if one.prototype_id == prototype_id), None)
    behind = failures_behind(rows.failures or (), prototype, "" if rows.strategy == SHUFFLED else capability)
    failures = tuple(FailedItem(one.item_id, one.error_rate) for one in behind)
    measured = (drawn.similarity, drawn.contrast, failures, drawn.score) if drawn else (None, None, failures)
    return Cause(rows.strategy, capability, prototype_id, *measured)


def _about(costs: Iterable[Entry], sample_id: str) -> tuple[Entry, ...]:
    return tuple(entry for entry in costs if sample_id in entry.cost.key.split("/"))


def _changes(rows: RoundRows, cause: Cause) -> tuple[ErrorChange, ...]:
    """The cell, the prototype and each failed item behind a sample; nothing where nothing is behind it."""
    before = _shares(rows.answers)
    after = None if rows.later_answers is None else _shares(rows.later_answers)
    found = []
    if cause.capability:
        items = _items_of_cell(rows, cause.capability)
        rates = _rate(rows.capabilities, cause.capability), _rate(rows.later_capabilities or (), cause.capability)
        found.append(ErrorChange("capability", cause.capability, *_means(items, before, after), *rates))
    if cause.prototype_id:
        members = [one.item_id for one in cause.failures]
        found.append(ErrorChange("prototype", cause.prototype_id, *_means(members, before, after)))
    found += [ErrorChange("item", one.item_id, *_means([one.item_id], before, after)) for one in cause.failures]
    return tuple(found)


def _means(
    items: Iterable[str], before: Mapping[str, float], after: Mapping[str, float] | None
) -> tuple[float | None, float | None, int]:
    """The mean share of wrong runs before and after, over the items that have both, and how many these are."""
    known = [item for item in items if item in before and (after is None or item in after)]
    if not known:
        return None, None, 0
    means = [sum(shares[item] for item in known) / len(known) for shares in (before, after) if shares is not None]
    return means[0], means[1] if after is not None else None, len(known)


def _shares(answers: Iterable[Answer]) -> dict[str, float]:
    """Item to its share of wrong runs among those that were evaluated; what could not be read is wrong."""
    outcomes: dict[str, list[bool]] = defaultdict(list)
    for row in answers:
        outcomes[row.item_id].append(row.correct is not True)
    return {item: sum(wrong) / len(wrong) for item, wrong in outcomes.items()}


def _items_of_cell(rows: RoundRows, cell: str) -> list[str]:
    """The evaluated items of a cell: of the cells whose every label an item has, the one with most labels is its own."""
    cells = [row.capability for row in rows.capabilities if row.is_drawn_for]
    found: dict[str, bool] = {}
    for row in rows.answers:
        if row.item_id not in found:
            own = max((name for name in cells if _fits(row, name)), key=_n_labels, default="")
            found[row.item_id] = own == cell
    return [item for item, is_in in found.items() if is_in]


def _labels(cell: str) -> list[tuple[str, str]]:
    pairs = (label.partition(":") for label in cell.split("+"))
    return [(axis, value) for axis, _, value in pairs if value != OTHER]


def _n_labels(cell: str) -> int:
    return len(_labels(cell))


def _fits(row: Answer, cell: str) -> bool:
    return all(getattr(row, axis, None) == value for axis, value in _labels(cell))


def _rate(capabilities: Iterable[CapabilityErrorRate], cell: str) -> float | None:
    return next((row.error_rate for row in capabilities if row.capability == cell and row.is_drawn_for), None)


def shown_reply(row: Answer) -> str:
    """How a reply is shown: the letter that was read, else its beginning."""
    return row.choice if row.choice is not None else shortened(row.answer, _LONGEST_REPLY)


def shortened(text: str, most: int) -> str:
    """A text in one line of at most so many characters; a longer one ends in "…"."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
