"""Near-duplicate texts among samples about one picture, the worst case of deduplication, beside scikit-learn.

    python -m benchmarks.near_texts [--size 20000]

The texts have 30 words of a Zipf distribution; one in a hundred repeats an earlier one but for a word. scikit-learn makes the
same TF-IDF rows and their cosines in blocks, and keeps those above the threshold. It does not say which sample is left out, so
both must agree on which texts have a near one before them. One JSON object goes to standard output.
"""

from __future__ import annotations

import argparse
import os

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import cosine_similarity

from benchmarks.contender import measure
from benchmarks.outcome import end
from services.training.domain.deduplicate import Said, repeated_samples

THRESHOLD = 0.9
_N_WORDS, _VOCABULARY, _BLOCK = 30, 5_000, 1_000


def texts_of(size: int) -> list[str]:
    """The texts, of which one in a hundred repeats another but for a word."""
    rng = np.random.default_rng(0)
    shares = 1.0 / np.arange(1, _VOCABULARY + 1)
    drawn = rng.choice(_VOCABULARY, (size, _N_WORDS), p=shares / shares.sum())
    for copy in range(size - size // 100, size):
        drawn[copy] = drawn[rng.integers(0, size - size // 100)]
        drawn[copy, 0] = 0
    return [" ".join(f"word{number}" for number in row) for row in drawn.tolist()]


def medq(texts: list[str]) -> NDArray[np.bool_]:
    """Which are left out."""
    samples = [Said("0" * 16, text, "") for text in texts]
    keeper = repeated_samples(samples, distance=4, threshold=THRESHOLD)
    return np.not_equal(keeper, np.arange(len(texts)))


def sklearn(texts: list[str]) -> NDArray[np.bool_]:
    """Which have a near one before them."""
    rows = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b").fit_transform(texts)
    has_near = np.zeros(len(texts), dtype=bool)
    for start in range(0, len(texts), _BLOCK):
        near = cosine_similarity(rows[start : start + _BLOCK], rows, dense_output=False).tocoo()
        has_near[start + near.row[(near.data >= THRESHOLD) & (near.col < start + near.row)]] = True
    return has_near


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=20_000, help="texts")
    size = parser.parse_args().size
    mine, peer = measure(texts_of, medq, size), measure(texts_of, sklearn, size)
    ratio = mine.seconds / peer.seconds
    is_same = bool((mine.result == peer.result).all())
    line = (
        f"near-duplicates of {size} texts: {mine.seconds:.1f} s, {mine.peak_bytes / 1e9:.2f} GB; "
        f"scikit-learn {peer.seconds:.1f} s, {peer.peak_bytes / 1e9:.2f} GB: a ratio of {ratio:.2f}, "
        f"{int(mine.result.sum())} found, {'the same' if is_same else 'OTHERS'} (wanted: 1 at most)"
    )
    figures = {"size": size, "load": os.getloadavg()[0], "ratio": ratio, "n_found": int(mine.result.sum())}
    end({**figures, "medq": mine.figures(), "sklearn": peer.figures()}, line, is_met=is_same and ratio <= 1)


if __name__ == "__main__":
    main()
