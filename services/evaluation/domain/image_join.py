"""Finds the image of each row of a benchmark table in an image set, and makes the row an item.

A row that names a file finds it by that path; a row that holds its picture itself finds it by its index, which the image set
knows where it was made from the same table. An index never stands for a path: two tables count their rows alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from services.evaluation.domain.benchmark import Item, KnownImage, Rejection, cell, item_of

_INGEST_AGAIN = "make the image set from this table, or from the folder that its `image_path` names"


def join_images(
    rows: Sequence[Mapping[str, str]],
    images: Sequence[Mapping[str, Any]],
    report: Sequence[Mapping[str, Any]],
    split: str,
) -> tuple[list[Item], list[Rejection]]:
    """Make items of the rows of a table.

    Args:
        rows: The table, column to text; indices are unique where they are not empty.
        images: Rows of the image set's `images.jsonl`.
        report: Rows of the image set's `report.jsonl`.
        split: The split that is imported. A table whose rows declare several splits gives the rows of this one; where
            they all declare the same, or none, the table is taken as this split.

    Returns: Items sorted by item_id, and what is no item, sorted by name; together one for each row.
    """
    known = _known_images(images, report)
    failed = {_key(row): row for row in report if _key(row) not in known}
    prefix = shared_prefix([_path(row) for row in rows], {path for path, _ in (*known, *failed)})
    is_mixed = len({cell(row, "split").lower() for row in rows}) > 1
    items: list[Item] = []
    rejections: list[Rejection] = []
    for number, row in enumerate(rows):
        index = cell(row, "index")
        key = (_path(row).removeprefix(prefix), "" if _path(row) else index)
        image = known.get(key)
        if not index:
            empty = f"line {number + 2}"  # the header is line 1
            rejections.append(Rejection(empty, "the index is empty", "give the row an index of its own"))
        elif is_mixed and cell(row, "split").lower() != split:
            rejections.append(_of_another_split(index, cell(row, "split"), split))
        elif image is None:
            rejections.append(_without_image(index, failed.get(key)))
        else:
            made = item_of(row, image, split)
            if isinstance(made, Item):
                items.append(made)
            else:
                rejections.append(made)
    return sorted(items, key=lambda item: item.item_id), sorted(rejections, key=lambda row: row.name)


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


def _known_images(
    images: Sequence[Mapping[str, Any]], report: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str], KnownImage]:
    """The images that are stored, by each path or index under which they came."""
    described = {
        row["image_id"]: KnownImage(row["image_id"], row["image_uri"], row["modality"], row["source_id"])
        for row in images
    }
    return {_key(row): described[row["image_id"]] for row in report if row["image_id"] in described}


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    """The path of an input, or its index where the manifest held the picture."""
    path = str(row["image_path"]).replace("\\", "/").removeprefix("./")
    return path, "" if path else str(row["name"]).strip()


def _path(row: Mapping[str, str]) -> str:
    return cell(row, "image_path").replace("\\", "/").removeprefix("./")


def _of_another_split(index: str, declared: str, split: str) -> Rejection:
    reason = f"the row belongs to the split {declared!r}, {split!r} is imported"
    return Rejection(index, reason, "import that split apart, or correct the column `split`")


def _without_image(index: str, failure: Mapping[str, Any] | None) -> Rejection:
    if failure is None:
        return Rejection(index, "the image set does not know the image", _INGEST_AGAIN)
    reason = f"the image was not stored ({failure['status']}): {failure['reason']}"
    return Rejection(index, reason, str(failure["remedy"]) or "replace the image and ingest again")
