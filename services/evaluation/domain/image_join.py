"""Finds the image of each row of a benchmark table in an image set, and makes the row an item.

A row that names a file finds it by that path; a row that holds its picture itself finds it by its index, which the image set
knows where it was made from the same table. An index never stands for a path: two tables count their rows alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from services.evaluation.domain.benchmark import cell, compares_two_images, item_of
from shared.rows.benchmark import Item, Rejection
from shared.rows.fields import Split
from shared.rows.images import Image, Input, part_of, spelled_out
from shared.rows.vocabulary import meant_split
from shared.tables import TableRow

_COMPARISON = "it compares two images, which this release does not score"
_SEVERAL = (
    "its file holds several images",
    "name one of them, as FILE#frame-0007 or FILE#slice-0042, and make the image set from the table or its folder",
)
_INGEST_AGAIN = "make the image set from this table, or from the folder that its `image_path` names"


def join_images(
    table: Sequence[TableRow], images: Sequence[Image], inputs: Sequence[Input], split: Split
) -> tuple[list[Item], list[Rejection]]:
    """Make items of the rows of a table.

    Args:
        table: Its rows; indices are unique where they are not empty.
        images: Of the image set.
        inputs: What the image set was made of.
        split: The split that is imported. A table whose rows declare several splits gives the rows of this one; where
            they all declare the same, or none, the table is taken as this split.

    Returns: Items sorted by item_id, and what is no item, sorted by name; together one for each row.
    """
    stored = {image.image_id: image for image in images}
    known = {_key(entry): stored[entry.image_id] for entry in inputs if entry.image_id in stored}
    failed = {_key(entry): entry for entry in inputs if _key(entry) not in known}
    several = {_plain_path(entry.image_path) for entry in inputs if part_of(entry.name)}
    sound = [row.cells for row in table if not row.fault]
    prefix = shared_prefix([_path(row) for row in sound], several | {path for path, _ in (*known, *failed)})
    is_mixed = len({cell(row, "split").lower() for row in sound}) > 1
    items: list[Item] = []
    rejections: list[Rejection] = []
    for place in table:
        row = place.cells
        index = cell(row, "index")
        key = (_path(row).removeprefix(prefix), "" if _path(row) else index)
        image = known.get(key)
        if place.fault:
            rejections.append(_rejection(f"line {place.line}", *place.fault))
        elif not index:
            rejections.append(
                _rejection(f"line {place.line}", "the index is empty", "give the row an index of its own")
            )
        elif is_mixed and cell(row, "split").lower() != split:
            rejections.append(_of_another_split(index, cell(row, "split")))
        elif compares_two_images(row):
            rejections.append(_rejection(index, _COMPARISON, "leave comparison items out of the table"))
        elif image is None:
            rejections.append(
                _rejection(index, *_SEVERAL) if key[0] in several else _without_image(index, failed.get(key))
            )
        else:
            made = item_of(row, image, split)
            if isinstance(made, Item):
                items.append(made)
            else:
                rejections.append(made)
    items = _with_sources(items, {cell(row, "index"): cell(row, "source_id") for row in sound})
    return sorted(items, key=lambda item: item.item_id), sorted(rejections, key=lambda row: row.name)


def _with_sources(items: Sequence[Item], said: Mapping[str, str]) -> list[Item]:
    """The items; images without a source of which the table names the same one are of one, which the first of them stands for.

    The name may be a patient's, so it is kept nowhere. An image set that knows the source has a keyed hash of it already.

    Args:
        items: An image set that knows no source of an image gives it the image's own id.
        said: Item id to what the table names; "" for none.
    """
    names = {item.item_id: said[item.item_id] for item in items if item.source_id == item.image_id}
    firsts: dict[str, str] = {}
    for item in items:
        if name := names.get(item.item_id):
            firsts[name] = min(firsts.get(name, item.image_id), item.image_id)
    return [
        replace(item, source_id=f"source-{firsts[name]}") if (name := names.get(item.item_id)) else item
        for item in items
    ]


def shared_prefix(paths: Collection[str], names: Collection[str]) -> str:
    """The folder that has to be taken off image paths so that they become names of an image set.

    Args:
        paths: Image paths as a table has them, with "/".
        names: Paths relative to the folder from which the image set was made.

    Returns: The prefix, with its last "/", under which most paths are found; "" where none is. One prefix for all, so
        that `train/1.png` is never taken for `test/1.png`. Ties: the shortest, then the first in order.
    """
    known = set(names)
    votes: Counter[str] = Counter()
    for path in paths:
        parts = path.split("/")
        for i in range(len(parts)):
            if "/".join(parts[i:]) in known:
                votes["".join(f"{part}/" for part in parts[:i])] += 1
                break
    return min(votes, key=lambda prefix: (-votes[prefix], len(prefix), prefix), default="")


def _key(entry: Input) -> tuple[str, str]:
    """The path of an input, with its part of a file of several images, or its index where the manifest held the picture."""
    path = _plain_path(entry.image_path)
    return f"{path}{part_of(entry.name)}" if path else "", "" if path else entry.name.strip()


def _path(row: Mapping[str, str]) -> str:
    return _plain_path(cell(row, "image_path"))


def _plain_path(path: str) -> str:
    return spelled_out(path.replace("\\", "/").removeprefix("./"))


def _of_another_split(index: str, declared: str) -> Rejection:
    if not declared:
        return _rejection(index, "the row names no split, and others do", "name its split")
    meant = meant_split(declared)
    if meant:
        return _rejection(index, "the split is misspelt", f"write {meant}")
    reason, remedy = "the row belongs to another split", "import that split apart, or correct the column `split`"
    return Rejection(name=index, reason=reason, remedy=remedy, is_of_another_split=True)


def _without_image(index: str, failed: Input | None) -> Rejection:
    if failed is None:
        return _rejection(index, "the image set does not know the image", _INGEST_AGAIN)
    reason = f"the image was not stored ({failed.status}): {failed.reason}"
    return _rejection(index, reason, failed.remedy or "replace the image and ingest again")


def _rejection(name: str, reason: str, remedy: str) -> Rejection:
    return Rejection(name=name, reason=reason, remedy=remedy)
