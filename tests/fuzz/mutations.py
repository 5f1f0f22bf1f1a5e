"""Bytes changed at random: what any file can meet, whatever its kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Rng = np.random.Generator
_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
_PIECES = (b"\0", b"\xff" * 8, b'"', b"\n", b"\r\n", b"\t", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"%s%n", b"A" * 5000)


def below(rng: Rng, n: int) -> int:
    """A number of 0..n-1; 0 where there is none."""
    return int(rng.integers(n)) if n > 0 else 0


def pick(rng: Rng, choices: Sequence[object]) -> object:
    """One of several."""
    return choices[below(rng, len(choices))]


def mutated(data: bytes, rng: Rng, others: Sequence[bytes] = ()) -> bytes:
    """Bytes with one to four changes.

    Args:
        data: What is changed.
        rng: Decides how.
        others: Files of which pieces may come in.
    """
    for _ in range(int(rng.integers(1, 5))):
        change = _CHANGES[below(rng, len(_CHANGES))]
        data = change(data, rng)
    if others and rng.random() < 0.1:
        other = others[below(rng, len(others))]
        data = data[: below(rng, len(data))] + other[below(rng, len(other)) :]
    return data


def _flip(data: bytes, rng: Rng) -> bytes:
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        if changed:
            changed[below(rng, len(changed))] ^= 1 << below(rng, 8)
    return bytes(changed)


def _flip_head(data: bytes, rng: Rng) -> bytes:
    """Where headers are."""
    head = min(len(data), 64 << below(rng, 4))
    return _flip(data[:head], rng) + data[head:]


def _number(data: bytes, rng: Rng) -> bytes:
    """A number where a length, a count or an offset may stand."""
    width = (1, 2, 4, 8)[below(rng, 4)]
    value = _NUMBERS[below(rng, len(_NUMBERS))] % 2 ** (8 * width)
    at = below(rng, min(len(data), 4096))
    return data[:at] + value.to_bytes(width, "little" if rng.random() < 0.5 else "big") + data[at + width :]


def _cut(data: bytes, rng: Rng) -> bytes:
    return data[: below(rng, len(data))]


def _remove(data: bytes, rng: Rng) -> bytes:
    at = below(rng, len(data))
    return data[:at] + data[at + int(rng.integers(1, 65)) :]


def _repeat(data: bytes, rng: Rng) -> bytes:
    at, n = below(rng, len(data)), int(rng.integers(1, 257))
    return data[:at] + data[at : at + n] * int(rng.integers(2, 17)) + data[at + n :]


def _insert(data: bytes, rng: Rng) -> bytes:
    at = below(rng, len(data))
    piece = _PIECES[below(rng, len(_PIECES))] if rng.random() < 0.7 else rng.bytes(int(rng.integers(1, 65)))
    return data[:at] + piece + data[at:]


def _append(data: bytes, rng: Rng) -> bytes:
    return data + (data if rng.random() < 0.5 else rng.bytes(64))


_CHANGES: tuple[Callable[[bytes, Rng], bytes], ...] = (
    _flip, _flip, _flip_head, _flip_head, _number, _number, _cut, _remove, _repeat, _insert, _append,
)  # fmt: skip
