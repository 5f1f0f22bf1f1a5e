"""Quality assurance of a dataset: what says the same about nearly the same picture is kept once, the first of them.

Neither half is enough alone. The same slice with another degradation is nearly the same picture with another label: it is what
the model has to learn. And multiple-choice questions come from templates: the same words about another picture are another
sample. Callers put what they prefer first (an expert's decision before a model's). It knows hashes and texts, not decisions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from shared.errors import InvalidArgument
from shared.perceptual_hash import hamming_pairs, parse_hashes

_ROUNDING = 1e-9


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
        threshold: In (0, 1]; a TF-IDF cosine of question and answer at or above it makes two texts one. Texts without a word
            are one only where they are equal.

    Returns: (n,) int64: its own index for a sample that is kept, else the index of the first kept one that it repeats.
    Raises: InvalidArgument: A hash is malformed, or distance or threshold is out of range.
    Cost: The exact Hamming join, and a comparison with each kept sample about a near picture.
    Source: section 2.4 (deduplication by perceptual hashing, diversity filtering by TF-IDF thresholds); joining them is ours.
    """
    if not 0 < threshold <= 1:
        raise InvalidArgument("A cosine threshold lies in (0, 1].", field="threshold", value=threshold)
    values, picture = np.unique(parse_hashes([sample.phash for sample in samples]), return_inverse=True)
    near_pictures: dict[int, list[int]] = defaultdict(list)
    for a, b in hamming_pairs(values, values, distance).tolist():
        near_pictures[a].append(b)
    answers = [sample.answer.strip().casefold() for sample in samples]
    texts = [f"{sample.question.strip()}\n{sample.answer.strip()}" for sample in samples]
    weights = _tfidf(texts)
    kept_of: dict[int, list[int]] = defaultdict(list)
    keeper = np.arange(len(samples), dtype=np.int64)
    for i, own in enumerate(picture.tolist()):
        alike = (j for value in near_pictures[own] for j in kept_of[value] if answers[j] == answers[i])
        near = (j for j in alike if texts[i] == texts[j] or _cosine(weights[i], weights[j]) >= threshold - _ROUNDING)
        keeper[i] = min(near, default=i)
        if keeper[i] == i:
            kept_of[own].append(i)
    return keeper


def _tfidf(texts: Sequence[str]) -> list[dict[int, float]]:
    """Word to weight, of unit norm, for each text; empty for a text without a word."""
    vectorizer = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", analyzer="word")
    if not any(vectorizer.build_analyzer()(text) for text in texts):
        return [{} for _ in texts]
    rows = vectorizer.fit_transform(texts)
    ends = rows.indptr.tolist()
    words, weights = rows.indices.tolist(), rows.data.tolist()
    return [dict(zip(words[a:b], weights[a:b], strict=True)) for a, b in pairwise(ends)]


def _cosine(a: dict[int, float], b: dict[int, float]) -> float:
    return sum(weight * b.get(word, 0.0) for word, weight in a.items())
