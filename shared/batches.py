"""Cuts what comes one at a time into batches (`itertools.batched` of later Pythons)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items in their order; the last one may be shorter, none is empty."""
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch
