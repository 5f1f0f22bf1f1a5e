"""Which 64-bit perceptual hashes are near each other: exact Hamming joins by the pigeonhole principle.

If two hashes differ in at most `distance` bits and the 64 positions are dealt into `distance + 1` bands, some band is equal
in both. So only pairs that share a band are compared. It knows nothing of images or of who asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidArgument

Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]

MAX_DISTANCE = 16
_CELLS = 1 << 21  # comparisons made in one array operation: 16 MB
_SPLIT_ABOVE = 1 << 22  # comparisons in one bucket above which its other bits are banded in turn


def parse_hashes(texts: Sequence[str]) -> Hashes:
    """The hashes as numbers.

    Args:
        texts: (n,) hashes of 16 hexadecimal digits.

    Returns: (n,) uint64.
    Raises: InvalidArgument: a text is no such hash.
    """
    hexadecimal = frozenset("0123456789abcdefABCDEF")
    for text in texts:
        if len(text) != 16 or not hexadecimal.issuperset(text):
            raise InvalidArgument("A perceptual hash has 16 hexadecimal digits.", field="phash", value=text)
    return np.array([int(text, 16) for text in texts], dtype=np.uint64)


def hamming_pairs(a: Hashes, b: Hashes, distance: int) -> Indices:
    """All pairs (i, j) with Hamming(a[i], b[j]) <= distance.

    Equal values multiply: a value that stands 1,000 times on both sides is a million pairs. Callers with many equal
    hashes (blank images) pass `np.unique` values, as the functions below do.

    Args:
        a: (n,) uint64.
        b: (m,) uint64.
        distance: 0 .. 16 bits.

    Returns: (p, 2) int64 pairs, each once, sorted.
    Raises: InvalidArgument: the distance is out of range.
    Cost: about (distance + 1) * n * m / 2**(64 / (distance + 1)) comparisons for hashes that spread evenly; a bucket that is
        too large is split by its other bits.
    """
    if not 0 <= distance <= MAX_DISTANCE:
        raise InvalidArgument("The distance of hashes is 0 to 16 bits.", field="distance", value=distance)
    rows = [np.zeros((0, 2), dtype=np.int64)]
    rows.extend(_join(a, b, np.arange(len(a)), np.arange(len(b)), np.arange(64), distance))
    codes = np.concatenate(rows) @ np.array([max(len(b), 1), 1], dtype=np.int64)
    codes.sort()
    is_first = np.diff(codes, prepend=-1) > 0
    return np.stack(np.divmod(codes[is_first], max(len(b), 1)), axis=1)


def nearest_within(a: Hashes, b: Hashes, distance: int) -> tuple[Indices, Indices]:
    """For each hash of a, the nearest of b within the distance.

    Args:
        a: (n,) uint64; may hold any number of equal values.
        b: (m,) uint64; likewise.
        distance: 0 .. 16 bits.

    Returns: (n,) int64 index into b, ties to the lowest, and (n,) int64 distance in bits; both -1 where none is near.
    Raises: InvalidArgument: the distance is out of range.
    """
    values_a, of_a = np.unique(a, return_inverse=True)
    values_b, first_b = np.unique(b, return_index=True)
    pairs = hamming_pairs(values_a, values_b, distance)
    bits = np.bitwise_count(values_a[pairs[:, 0]] ^ values_b[pairs[:, 1]]).astype(np.int64)
    where = first_b[pairs[:, 1]].astype(np.int64)
    order = np.lexsort((where, bits, pairs[:, 0]))
    queries, first = np.unique(pairs[order, 0], return_index=True)
    index, found = np.full(len(values_a), -1, dtype=np.int64), np.full(len(values_a), -1, dtype=np.int64)
    index[queries], found[queries] = where[order][first], bits[order][first]
    return index[of_a], found[of_a]


def _join(
    a: Hashes, b: Hashes, rows_a: Indices, rows_b: Indices, bits: NDArray[np.intp], distance: int
) -> Iterator[Indices]:
    """Near pairs among the given rows, which agree on every bit outside `bits`; a pair may come twice."""
    if len(bits) == 0 or (len(rows_a) * len(rows_b) <= _SPLIT_ABOVE and len(bits) < 64):
        yield from _compare(a, b, rows_a, rows_b, distance)
        return
    for band in np.array_split(bits, distance + 1):
        mask = np.bitwise_or.reduce(np.uint64(1) << band.astype(np.uint64), initial=np.uint64(0))
        rest = np.setdiff1d(bits, band)
        for bucket_a, bucket_b in _buckets(a, b, rows_a, rows_b, mask):
            yield from _join(a, b, bucket_a, bucket_b, rest, distance)


def _buckets(
    a: Hashes, b: Hashes, rows_a: Indices, rows_b: Indices, mask: np.uint64
) -> Iterator[tuple[Indices, Indices]]:
    """Rows of both sides that agree on the bits of the mask, value by value."""
    sorted_a, sorted_b = (rows[np.argsort(of[rows] & mask)] for of, rows in ((a, rows_a), (b, rows_b)))
    keys_a, keys_b = a[sorted_a] & mask, b[sorted_b] & mask
    starts = np.flatnonzero(np.diff(keys_a, prepend=~keys_a[:1]))
    ends = np.append(starts[1:], len(keys_a))
    from_b, to_b = (np.searchsorted(keys_b, keys_a[starts], side) for side in ("left", "right"))
    is_shared = from_b < to_b
    limits = (starts[is_shared], ends[is_shared], from_b[is_shared], to_b[is_shared])
    for start_a, end_a, start_b, end_b in zip(*(limit.tolist() for limit in limits), strict=True):
        yield sorted_a[start_a:end_a], sorted_b[start_b:end_b]


def _compare(a: Hashes, b: Hashes, rows_a: Indices, rows_b: Indices, distance: int) -> Iterator[Indices]:
    step = max(1, _CELLS // max(len(rows_b), 1))
    of_a, of_b = a[rows_a], b[rows_b]
    for start in range(0, len(rows_a), step):
        is_near = np.bitwise_count(of_a[start : start + step, None] ^ of_b) <= distance
        i, j = np.divmod(np.flatnonzero(is_near), len(rows_b))  # of one axis it is found many times as fast as of two
        if len(i):
            yield np.stack([rows_a[i + start], rows_b[j]], axis=1)
