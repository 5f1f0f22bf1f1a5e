"""Exact selection of 2,000 images for 32 prototypes from 1,000,000 x 512, beside FAISS.

    python -m benchmarks.selection [--size 1000000]

Every image is compared with every prototype, the nearest tenth of the pool is found, and the adaptive draw takes 2,000 of it.
FAISS only compares (`IndexFlatIP` over the prototypes), so its time is held against that of the whole. Vectors are in memory;
each contender runs in a process of its own, on one thread. One JSON object goes to standard output.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.contender import measure
from benchmarks.embeddings import Embeddings
from benchmarks.outcome import end
from services.retrieval.domain.sampling import Candidates, Strategy, draw_samples
from services.retrieval.work.failures import Failures
from services.retrieval.work.finding import find_share

MAX_SECONDS = 5.0
_BUDGET, _N_PROTOTYPES, _N_CAPABILITIES, _SHARE, _D = 2_000, 32, 8, 0.1, 512
Given = tuple[list[str], NDArray[np.float32], NDArray[np.float32]]


def given(size: int) -> Given:
    """Ids, pool, prototypes."""
    population = Embeddings(_D)
    pool = np.empty((size, _D), dtype=np.float32)
    for block in population.blocks(size):
        pool[block.first : block.first + len(block.vectors)] = block.vectors
    return [f"{row:064x}" for row in range(size)], pool, population.queries(_N_PROTOTYPES).vectors


def medq(of: Given) -> tuple[int, float]:
    """How many were drawn, and the sum of the similarities that were found."""
    ids, pool, prototypes = of
    names = [f"p{j:02d}" for j in range(_N_PROTOTYPES)]
    profiles = [{f"k{j % _N_CAPABILITIES}": 1.0} for j in range(_N_PROTOTYPES)]
    rates = {f"k{j}": (j + 1) / 10 for j in range(_N_CAPABILITIES)}
    finds = find_share([(ids, pool)], set(ids), Failures(prototypes, names, profiles, rates), _SHARE)
    draw = draw_samples(
        Candidates(finds.ids, finds.finder),
        profiles,
        rates,
        strategy=Strategy.FAILURE_DRIVEN,
        alpha=1.0,
        budget=_BUDGET,
        rng=np.random.default_rng(0),
    )
    return len(draw.rows), float(finds.values.sum())


def faiss(of: Given) -> tuple[int, float]:
    """The sum of the similarities of the same share of the pool."""
    import faiss as module

    peer: Any = module
    peer.omp_set_num_threads(1)
    index = peer.IndexFlatIP(_D)
    index.add(of[2])
    cosines = index.search(of[1], 1)[0][:, 0]
    return 0, float(np.sort(cosines)[-int(_SHARE * len(cosines)) :].astype(np.float64).sum())


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1_000_000, help="images of the pool, at least 100,000")
    size = parser.parse_args().size
    mine, peer = measure(given, medq, size), measure(given, faiss, size)
    ratio = mine.seconds / peer.seconds
    is_exact = bool(np.isclose(mine.result[1], peer.result[1], rtol=1e-5))
    line = (
        f"exact selection of {mine.result[0]} for {_N_PROTOTYPES} prototypes of {size} x {_D}: {mine.seconds:.1f} s, "
        f"{mine.peak_bytes / 1e9:.1f} GB; FAISS compares alone in {peer.seconds:.1f} s: a ratio of {ratio:.2f}, "
        f"{'the same' if is_exact else 'OTHER'} similarities (wanted: under {MAX_SECONDS:.0f} s)"
    )
    figures = {"size": size, "load": os.getloadavg()[0], "ratio": ratio, "n_drawn": mine.result[0]}
    is_met = mine.seconds < MAX_SECONDS and mine.result[0] == _BUDGET and is_exact
    end({**figures, "medq": mine.figures(), "faiss": peer.figures()}, line, is_met=is_met)


if __name__ == "__main__":
    main()
