"""How somebody outside is tried before everything is put to them: who is of no use so many times is asked no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

ItemT = TypeVar("ItemT")
#: Who has refused so many calls, or said nothing of use in answer to so many, and was of use to none, is of use to none.
ENOUGH: Final = 16


def batches(items: Sequence[ItemT], is_of_use: Callable[[], bool]) -> Iterator[Sequence[ItemT]]:
    """The items in their order: `ENOUGH` at a time until `is_of_use`, which is asked before each batch, then all the others."""
    start = 0
    while start < len(items):
        end = len(items) if is_of_use() else start + ENOUGH
        yield items[start:end]
        start = end
