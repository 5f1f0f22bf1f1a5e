"""What a round went looking for: the failures that asked for images, beside the images that were drawn for them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from services.controller.domain.richness import AXES, Cell
from shared.rows.failures import Anchor, Failure, PrototypeRow
from shared.rows.selection import Sample
from shared.rows.vocabulary import OTHER

Json = dict[str, Any]
#: The strategy whose images no failure asked for, though they were drawn for cells.
SHUFFLED = "shuffled_failures"
#: Images of each search that the report names.
N_FAILED, N_DRAWN = 4, 5


def searches(
    samples: Iterable[Sample],
    anchors: Sequence[Anchor],
    prototypes: Iterable[PrototypeRow],
    pool: Mapping[str, Collection[Cell]],
) -> list[Json]:
    """A search for each prototype, or each cell, that images were drawn for; one by a score is a search of its measure.

    Args:
        samples: The draw; what was drawn at random searched for nothing.
        anchors: The dev images, with the cells in which they failed.
        prototypes: The failure prototypes of the round.
        pool: Pool image to its cells, where the truth is known; see `richness`.

    Returns: The most images first. Each has its `name`, the `cell` that it is about, the number of failed images and of drawn
        ones, the ids of the first of each, and `enrichment`: of the drawn images of which the truth is known how many show that
        cell, and its share of the pool; None where the cell is not one modality and one attribute, or nothing is known.
    """
    by_prototype = {row.prototype_id: row for row in prototypes}
    drawn: dict[str, list[str]] = defaultdict(list)
    for sample in samples:
        if name := search_of(sample):
            drawn[name].append(sample.image_id)
    n_in_pool = Counter(cell for cells in pool.values() for cell in set(cells))
    return [
        _search(name, image_ids, by_prototype.get(name), anchors, pool, n_in_pool)
        for name, image_ids in sorted(drawn.items(), key=lambda one: (-len(one[1]), one[0]))
    ]


def search_of(sample: Sample) -> str:
    """The name of the search that drew an image: a prototype, else a cell, else the measure; "" of a random draw."""
    return sample.prototype_id or sample.capability or sample.measure


def failures_behind(failures: Iterable[Failure], prototype: PrototypeRow | None, cell: str) -> list[Failure]:
    """The failures that asked for images: the members of a prototype, or, without one, the failures of a cell."""
    if prototype is not None:
        members = set(prototype.members)
        return [one for one in failures if one.item_id in members]
    return [one for one in failures if cell and cell in one.capabilities[:1]]


def _search(
    name: str,
    drawn: Sequence[str],
    prototype: PrototypeRow | None,
    anchors: Sequence[Anchor],
    pool: Mapping[str, Collection[Cell]],
    n_in_pool: Counter[Cell],
) -> Json:
    if prototype is None:
        cell = name
        in_cell = [anchor for anchor in anchors if cell in anchor.capabilities]
        in_cell.sort(key=lambda anchor: (-anchor.capabilities[cell], anchor.image_id))
        failed = [anchor.image_id for anchor in in_cell]
    else:
        cell = min(prototype.profile, key=lambda one: (-prototype.profile[one], one), default="")
        failed = list(prototype.image_ids)
    return {
        "name": name,
        "cell": cell,
        "n_failed": len(failed),
        "failed_image_ids": failed[:N_FAILED],
        "n_drawn": len(drawn),
        "drawn_image_ids": list(drawn[:N_DRAWN]),
        "enrichment": _enrichment(cell, drawn, pool, n_in_pool),
    }


def _enrichment(
    cell: str, drawn: Sequence[str], pool: Mapping[str, Collection[Cell]], n_in_pool: Counter[Cell]
) -> Json | None:
    labels = dict(part.split(":", 1) for part in cell.split("+") if ":" in part)
    known = [image_id for image_id in drawn if image_id in pool]
    if set(labels) != set(AXES) or OTHER in labels.values() or not known:
        return None
    wanted = (labels[AXES[0]], labels[AXES[1]])
    return {
        "n_known": len(known),
        "n_with_it": sum(wanted in pool[image_id] for image_id in known),
        "pool_share": n_in_pool[wanted] / len(pool),
    }
