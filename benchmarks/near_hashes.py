"""All pairs of perceptual hashes that differ in at most 4 of 64 bits, beside FAISS.

    python -m benchmarks.near_hashes [--size 1000000]

The hashes are random. One in a hundred is a planted copy, which differs in 1 to 4 bits; one in twenty is that of a blank image.
Both find every pair: FAISS looks into tables of five bands (`IndexBinaryMultiHash`). Each runs in a process of its own, on one
thread. One JSON object goes to standard output.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.contender import measure
from benchmarks.outcome import end
from shared.perceptual_hash import hamming_pairs, nearest_within

DISTANCE = 4
MAX_SECONDS, MAX_BYTES = 10.0, 2_000_000_000
_BANDS, _BAND_BITS = 5, 12
Hashes = NDArray[np.uint64]


def hashes_of(size: int) -> tuple[Hashes, NDArray[np.int64]]:
    """The hashes, (size,) uint64, and the (p, 2) pairs that were planted among those that are not blank."""
    rng = np.random.default_rng(0)
    n_blank, n_planted = size // 20, size // 100
    hashes = rng.integers(0, 2**64, size, dtype=np.uint64)
    hashes[:n_blank] = 0
    originals = n_blank + rng.choice((size - n_blank) // 2, n_planted, replace=False)
    copies = size - 1 - np.arange(n_planted)
    flips = np.zeros(n_planted, dtype=np.uint64)
    for row in range(n_planted):
        for bit in rng.choice(64, 1 + row % DISTANCE, replace=False).tolist():
            flips[row] |= np.uint64(1) << np.uint64(bit)
    hashes[copies] = hashes[originals] ^ flips
    return hashes, np.stack([originals, copies], axis=1)


def _given(size: int) -> Hashes:
    return hashes_of(size)[0]


def join(hashes: Hashes) -> NDArray[np.int64]:
    """Every pair of different values."""
    values, first = np.unique(hashes, return_index=True)
    pairs = hamming_pairs(values, values, DISTANCE)
    return first[pairs[pairs[:, 0] < pairs[:, 1]]]


def nearest(hashes: Hashes) -> NDArray[np.int64]:
    """What the leakage check asks: the nearest of a guarded set, here the second half, of each of the first half."""
    half = len(hashes) // 2
    return nearest_within(hashes[:half], hashes[half:], DISTANCE)[0]


def faiss(hashes: Hashes) -> NDArray[np.int64]:
    """The same pairs by FAISS."""
    import faiss as module

    peer: Any = module
    peer.omp_set_num_threads(1)
    values, first = np.unique(hashes, return_index=True)
    index = peer.IndexBinaryMultiHash(64, _BANDS, _BAND_BITS)
    index.nflip = 0
    codes = values.view(np.uint8).reshape(-1, 8)
    index.add(codes)
    limits, _, found = index.range_search(codes, DISTANCE + 1)  # strictly below
    rows = np.repeat(np.arange(len(values)), np.diff(limits).astype(np.int64))
    pairs: NDArray[np.int64] = first[np.stack([rows, found], axis=1)[rows < found]]
    return pairs


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1_000_000, help="hashes, at least 200")
    size = parser.parse_args().size
    planted = {frozenset(pair) for pair in hashes_of(size)[1].tolist()}
    found = {
        name: measure(_given, work, size) for name, work in {"medq": join, "nearest": nearest, "faiss": faiss}.items()
    }
    mine, peer = ({frozenset(pair) for pair in found[name].result.tolist()} for name in ("medq", "faiss"))
    ratio = found["medq"].seconds / found["faiss"].seconds
    is_met = (
        found["medq"].seconds < MAX_SECONDS
        and found["medq"].peak_bytes < MAX_BYTES
        and planted <= mine
        and mine == peer
    )
    line = (
        f"pairs of {size} hashes at most {DISTANCE} bits apart: {found['medq'].seconds:.1f} s, "
        f"{found['medq'].peak_bytes / 1e9:.1f} GB, {len(planted & mine)} of {len(planted)} planted pairs; FAISS "
        f"{found['faiss'].seconds:.1f} s with {'the same' if mine == peer else 'OTHER'} pairs: a ratio of {ratio:.2f}; half "
        f"against half {found['nearest'].seconds:.1f} s (wanted: under {MAX_SECONDS:.0f} s and {MAX_BYTES / 1e9:.0f} GB, all)"
    )
    figures = {name: one.figures() for name, one in found.items()}
    counts = {"n_planted": len(planted), "n_planted_found": len(planted & mine), "n_pairs": len(mine)}
    end({"size": size, "load": os.getloadavg()[0], "ratio": ratio, **counts, **figures}, line, is_met=is_met)


if __name__ == "__main__":
    main()
