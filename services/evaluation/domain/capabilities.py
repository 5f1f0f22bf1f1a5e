"""Capability dimensions of an item: the c_1 .. c_K of the paper, as labels `axis:value`."""

from __future__ import annotations

from collections.abc import Mapping

AXES = ("modality", "question_type", "attribute", "severity", "scope")


def capability_labels(item: Mapping[str, object]) -> tuple[str, ...]:
    """The capabilities k with c_k(item) = 1.

    Args:
        item: A benchmark row; only the fields named in `AXES` are read, each a text or absent.

    Returns: One `axis:value` for each axis with a value, in the order of `AXES`. Values are case-folded and inner
        white space becomes "_", so that "Histo Pathology" and "histo_pathology" are one capability.
    """
    labels = []
    for axis in AXES:
        value = "_".join(str(item.get(axis) or "").casefold().split())
        if value:
            labels.append(f"{axis}:{value}")
    return tuple(labels)
