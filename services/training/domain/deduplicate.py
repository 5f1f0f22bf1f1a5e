"""Quality assurance of a dataset: near-equal pictures and near-equal texts are kept once, the first of them.

Callers put what they prefer first (an expert's decision before a model's). It knows hashes and texts, not decisions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer

from shared.errors import InvalidArgument
from shared.perceptual_hash import keep_first, parse_hashes

_BLOCK = 1024  # texts compared with all others at once
_ROUNDING = 1e-9


def perceptual_duplicates(phashes: Sequence[str], *, distance: int) -> NDArray[np.int64]:
    """Near-equal pictures, by the Hamming distance of their perceptual hashes.

    Pass each *image* once: the questions about one image share its hash and are not duplicates of each other.

    Args:
        phashes: (n,) hashes of 16 hexadecimal digits, the preferred images first.
        distance: Largest distance, 0 .. 16 bits of 64, at which two pictures are one.

    Returns: (n,) int64: its own index for an image that is kept, else the index of the kept image that it repeats.
    Raises: InvalidArgument: A hash is malformed or the distance is out of range.
    Source: section 2.4 (deduplication via perceptual hashing).
    """
    return keep_first(parse_hashes(phashes), distance)


def tfidf_near_duplicates(texts: Sequence[str], groups: Sequence[str], *, threshold: float) -> NDArray[np.int64]:
    """Near-equal texts of one group, by the cosine of their TF-IDF vectors.

    What is compared with what is the caller's choice, by group. Multiple-choice questions come from templates: those about
    different images share their wording by construction and are not duplicates, so their text is question and answer and
    their group the image. Descriptions are written for one image each: their group is one for all, because the same
    sentences about two images teach the second time nothing.

    Args:
        texts: (n,) the preferred ones first.
        groups: (n,) texts of different groups are never compared.
        threshold: In (0, 1]; a cosine at or above it makes a near duplicate.

    Returns: (n,) int64: its own index for a text that is kept, else the index of the first kept text that it repeats. Texts
        without a word repeat each other only where they are equal.
    Raises: InvalidArgument: Lengths differ or the threshold is out of range.
    Cost: a sparse product of each group with itself, 1,024 rows at a time.
    Source: section 2.4 (diversity filtering by TF-IDF thresholds); the groups are ours.
    """
    if len(texts) != len(groups):
        raise InvalidArgument("Each text has one group.", field="groups", value=len(groups))
    if not 0 < threshold <= 1:
        raise InvalidArgument("A cosine threshold lies in (0, 1].", field="threshold", value=threshold)
    keeper = np.arange(len(texts), dtype=np.int64)
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    vectorizer = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", analyzer="word")
    if not any(vectorizer.build_analyzer()(text) for text in texts):
        return _first_equal(texts, groups)
    vectors = vectorizer.fit_transform(texts)
    for rows in members.values():
        if len(rows) > 1:
            keeper[rows] = np.array(rows)[_keep_first_rows(vectors[rows], threshold)]
    empty = np.flatnonzero(np.diff(vectors.indptr) == 0).tolist()
    equal = _first_equal([texts[i] for i in empty], [groups[i] for i in empty])
    keeper[empty] = np.array(empty, dtype=np.int64)[equal]
    return keeper


def _keep_first_rows(vectors: csr_matrix, threshold: float) -> list[int]:
    """Greedy keep-first over the unit rows of one sparse (m, v) matrix, by position within it."""
    keeper: list[int] = []
    for start in range(0, vectors.shape[0], _BLOCK):
        block = vectors[start : start + _BLOCK] @ vectors[: start + _BLOCK].T
        for offset in range(block.shape[0]):
            row = block[[offset]]
            near = row.indices[row.data >= threshold - _ROUNDING].tolist()
            own = start + offset
            keeper.append(min((i for i in near if i < own and keeper[i] == i), default=own))
    return keeper


def _first_equal(texts: Sequence[str], groups: Sequence[str]) -> NDArray[np.int64]:
    first: dict[tuple[str, str], int] = {}
    return np.array(
        [first.setdefault((group, text.strip()), i) for i, (text, group) in enumerate(zip(texts, groups, strict=True))],
        dtype=np.int64,
    )
