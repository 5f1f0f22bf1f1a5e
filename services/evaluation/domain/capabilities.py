"""Capabilities of an item: its labels `axis:value`, and the one cell of several axes that it lies in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer
from shared.rows.vocabulary import AXES, OTHER


def axes_of(row: Item | Answer) -> dict[str, str]:
    """Axis to the value of an item, or of an answer to it; "" for no value."""
    return {axis: getattr(row, axis) for axis in AXES}


def capability_labels(item: Item, axes: Iterable[str] = AXES) -> tuple[str, ...]:
    """One label `axis:value` for each axis on which the item has a value, in the order of the axes."""
    values = axes_of(item)
    return tuple(f"{axis}:{values[axis]}" for axis in axes if values[axis])


def cells(items: Sequence[Item], axes: Sequence[str], min_items: int) -> dict[str, str]:
    """The capability k with c_k(item) = 1: each item lies in exactly one cell, so that weights of cells sum once.

    The cell of an item is made of its labels on the axes, as `modality:mri+attribute:motion`. A cell with fewer than
    `min_items` items is given up, and its items go to those of its parent that have no further label: the last label
    is dropped, and again while they are still too few. The first label is never dropped, so no item is lost.

    A name says what is in the cell: `modality:mri` holds every item that begins with this label. Where some of them have
    cells of their own, the rest is `modality:mri+attribute:other`. Items without any label are `other` on the first axis.

    Every item counts, UNSCORED or not: so the cells follow from the benchmark alone, and are the same in every round.

    Args:
        items: (n,) of one benchmark, in any order.
        axes: Different names of `AXES`, at least one, the broadest first.
        min_items: Fewest items of a cell of two or more labels; up to 1 keeps every cell.

    Returns: Item id to the name of its cell.
    Source: section 2.2 of the paper (errors concentrate where capability and modality meet); the fallback is ours.
    """
    paths = [capability_labels(item, axes) for item in items]
    for depth in range(len(axes), 1, -1):
        sizes = Counter(paths)
        paths = [path[:-1] if len(path) == depth and sizes[path] < min_items else path for path in paths]
    below = Counter(path[:end] for path in paths for end in range(1, len(path) + 1))
    sizes = Counter(paths)
    names = {path: _name(path, axes, is_whole=sizes[path] == below[path]) for path in sizes}
    return {item.item_id: names[path] for item, path in zip(items, paths, strict=True)}


def _name(path: tuple[str, ...], axes: Sequence[str], *, is_whole: bool) -> str:
    if is_whole:
        return "+".join(path)
    last = path[-1].partition(":")[0] if path else None
    following = axes[axes.index(last) + 1] if last else axes[0]
    return "+".join((*path, f"{following}:{OTHER}"))
