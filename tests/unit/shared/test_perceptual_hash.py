import numpy as np
import pytest

from shared.errors import InvalidArgument
from shared.perceptual_hash import hamming_pairs, nearest_within, parse_hashes


def hashes(n: int, seed: int, n_bits: int = 64) -> np.ndarray:
    """Random hashes that differ in the lowest bits only, so that small distances happen."""
    return np.random.default_rng(seed).integers(0, 2**n_bits, size=n, dtype=np.uint64)


def all_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.array([[(int(x) ^ int(y)).bit_count() for y in b] for x in a])


@pytest.mark.parametrize("distance", [0, 1, 4, 9])
@pytest.mark.parametrize("n_bits", [12, 20, 64])
def test_pairs_are_those_of_comparing_all_with_all(distance, n_bits):
    a, b = hashes(80, 1, n_bits), hashes(60, 2, n_bits)
    b[:10] = a[:10] ^ np.uint64(0b1001 << 40)
    expected = np.argwhere(all_distances(a, b) <= distance)
    np.testing.assert_array_equal(hamming_pairs(a, b, distance), expected)


def test_a_bucket_too_large_is_split_and_still_exact():
    a = np.unique(hashes(6000, 3, 18))
    pairs = hamming_pairs(a, a, 2)
    bits = np.bitwise_count(a[pairs[:, 0]] ^ a[pairs[:, 1]])
    counts = [int((np.bitwise_count(x ^ a) <= 2).sum()) for x in a]
    assert bits.max() == 2
    assert np.bincount(pairs[:, 0]).tolist() == counts


def test_planted_near_copies_among_many_hashes_are_all_found():
    a = hashes(30_000, 4)
    rng = np.random.default_rng(5)
    flips = np.array(
        [sum(1 << int(bit) for bit in rng.choice(64, 4, replace=False)) for _ in range(200)], dtype=np.uint64
    )
    index, distance = nearest_within(a[:200] ^ flips, a, 4)
    np.testing.assert_array_equal(index, np.arange(200))
    assert set(distance.tolist()) == {4}


@pytest.mark.parametrize("distance", [0, 3])
def test_nearest_is_the_smallest_distance_then_the_lowest_index(distance):
    a, b = hashes(70, 5, 8), hashes(50, 6, 8)
    index, found = nearest_within(a, b, distance)
    table = all_distances(a, b)
    for row, i, d in zip(table, index, found, strict=True):
        expected = (int(row.argmin()), int(row.min())) if row.min() <= distance else (-1, -1)
        assert (i, d) == expected


def test_many_equal_hashes_cost_one_comparison():
    blank = np.zeros(200_000, dtype=np.uint64)
    index, distance = nearest_within(blank, blank, 4)
    assert not index.any()
    assert not distance.any()


def test_no_hashes_have_no_pairs():
    none = np.zeros(0, dtype=np.uint64)
    assert hamming_pairs(none, hashes(3, 0), 4).shape == (0, 2)
    assert hamming_pairs(hashes(3, 0), none, 4).shape == (0, 2)
    assert nearest_within(hashes(3, 0), none, 4)[0].tolist() == [-1, -1, -1]


def test_hashes_are_16_hexadecimal_digits():
    assert parse_hashes(["00000000000000ff", "F" * 16]).tolist() == [255, 2**64 - 1]
    for text in ("ff", "0x000000000000ff", "g" * 16, ""):
        with pytest.raises(InvalidArgument):
            parse_hashes([text])


@pytest.mark.parametrize("distance", [-1, 17])
def test_distances_out_of_range_are_refused(distance):
    with pytest.raises(InvalidArgument):
        hamming_pairs(hashes(2, 0), hashes(2, 1), distance)
