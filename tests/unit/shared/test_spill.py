"""Tables that do not lie in memory, beside a dictionary."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.spill import Spill


@pytest.fixture
def spill() -> Iterator[Spill]:
    with Spill() as spill:
        yield spill


def test_a_table_does_what_a_dictionary_does(spill: Spill) -> None:
    table, known, rng = spill.table("t", str), dict[str, bytes](), random.Random(0)
    for _ in range(4000):
        key, value = "é#$z"[rng.randrange(4)] * rng.randrange(1, 4) + str(rng.randrange(900)), rng.randbytes(3)
        work = rng.randrange(3)
        if work == 0:
            assert table.add(key, value) == (key not in known)
            known.setdefault(key, value)
        elif work == 1:
            table.put(key, value)
            known[key] = value
        else:
            table.remove(key)
            known.pop(key, None)
    assert len(table) == len(known) > 500  # more than are looked at together
    assert list(table.items()) == sorted(known.items())
    assert list(table.items("$", "z1")) == sorted((k, v) for k, v in known.items() if "$" <= k < "z1")
    assert {key: table.get(key) for key in known} == known
    assert table.get("nothing") is None


def test_numbers_and_bytes_are_in_their_own_order(spill: Spill) -> None:
    numbers, texts = spill.table("numbers", int), spill.table("texts", bytes)
    for number in (10, 9, 100):
        numbers.add(number)
        texts.add(str(number).encode())
    assert [key for key, _ in numbers.items()] == [9, 10, 100]
    assert [key for key, _ in texts.items()] == [b"10", b"100", b"9"]


def test_values_may_change_while_they_are_looked_through(spill: Spill) -> None:
    table = spill.table("t", int)
    for number in range(1203):
        table.add(number)
    for key, value in table.items():
        table.put(key, value + b"seen")
    assert {value for _, value in table.items()} == {b"seen"}


def test_several_threads_use_one_file(spill: Spill) -> None:
    table = spill.table("t", int)
    with ThreadPoolExecutor(4) as threads:
        added = list(threads.map(lambda number: table.add(number % 100), range(1000)))
    assert (sum(added), len(table)) == (100, 100)
