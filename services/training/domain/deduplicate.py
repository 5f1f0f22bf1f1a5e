"""Quality assurance of a dataset: what says the same about nearly the same picture is kept once, the first of them.

Neither half is enough alone. The same slice with another degradation is nearly the same picture with another label: it is what
the model has to learn. And multiple-choice questions come from templates: the same words about another picture are another
sample. Callers put what they prefer first (an expert's decision before a model's). It knows hashes and texts, not decisions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from services.training.domain.near_text import NearTexts, require_threshold
from shared.perceptual_hash import Hashes, hamming_pairs, parse_hashes

Indices = NDArray[np.int64]
_CELLS = 1 << 22  # cosines of one block, if every one is above 0: some 50 MB
_MOST_ROWS = 1024


@dataclass(frozen=True)
class Said:
    """What a sample says of which picture; `phash` has 16 hexadecimal digits, `answer` is a text."""

    phash: str
    question: str
    answer: str


def repeated_samples(samples: Sequence[Said], *, distance: int, threshold: float) -> NDArray[np.int64]:
    """Which samples repeat an earlier one: near in the picture, near in the text, and with the same answer.

    Texts are compared wherever the pictures are near, whether they are one image or several, of this round or of earlier ones.

    Args:
        samples: (n,) the preferred ones first; what was learned in earlier rounds before all others.
        distance: Largest Hamming distance, 0 .. 16 bits of 64, at which two pictures are one.
        threshold: In (0, 1]; of the TF-IDF cosine of question and answer, see `NearTexts`.

    Returns: (n,) int64: its own index for a sample that is kept, else the index of the first kept one that it repeats.
    Raises: InvalidArgument: A hash is malformed, or distance or threshold is out of range.
    Cost: The exact Hamming join, and a sparse product of each sample with the kept ones before it that have the same answer and
        are joined to it by a chain of near pictures; memory for one block of it.
    Source: section 2.4 (deduplication by perceptual hashing, diversity filtering by TF-IDF thresholds); joining them is ours.
    """
    hashes = parse_hashes([sample.phash for sample in samples])
    require_threshold(threshold)
    if len(samples) < 2:
        return np.arange(len(samples), dtype=np.int64)
    texts = NearTexts([f"{sample.question.strip()}\n{sample.answer.strip()}" for sample in samples], threshold)
    answers = [sample.answer.strip().casefold() for sample in samples]
    group = _groups(hashes, answers, distance)
    keeper = np.arange(len(samples), dtype=np.int64)
    for rows, kept in _blocks(group, keeper):
        others = np.concatenate([kept, rows])
        near = texts.near(rows, others)
        for place, row in enumerate(rows.tolist()):
            found = others[near.indices[near.indptr[place] : near.indptr[place + 1]]]
            found = found[(found < row) & (keeper[found] == found) & (group[found] == group[row])]
            found = found[np.bitwise_count(hashes[found] ^ hashes[row]) <= distance]
            keeper[row] = found.min(initial=row)
    return keeper


def _groups(hashes: Hashes, answers: Sequence[str], distance: int) -> Indices:
    """(n,) a number that two samples share if their answer is the same and a chain of near pictures joins them."""
    values, picture = np.unique(hashes, return_inverse=True)
    pairs = hamming_pairs(values, values, distance)
    shape = (len(values), len(values))
    graph = coo_array((np.ones(len(pairs), dtype=np.bool_), (pairs[:, 0], pairs[:, 1])), shape=shape)
    chain = connected_components(graph, directed=False)[1][picture]
    answer = np.unique(answers, return_inverse=True)[1]
    return np.unique(chain.astype(np.int64) * len(answers) + answer, return_inverse=True)[1]


def _blocks(group: Indices, keeper: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Samples that are judged together, ascending within their group, and the kept ones before them that they may repeat.

    `keeper` is read anew for each block, so that what has been left out since is compared with nothing.
    """
    order = np.argsort(group, kind="stable")
    order = order[np.bincount(group)[group[order]] > 1]  # nobody repeats who is alone
    start = 0
    while start < len(order):
        first = int(np.searchsorted(group[order], group[order[start]]))
        before = order[first:start]
        kept = before[keeper[before] == before]
        rows = min(_MOST_ROWS, max(1, _CELLS // (len(kept) + _MOST_ROWS)))
        yield order[start : start + rows], kept
        start += rows
