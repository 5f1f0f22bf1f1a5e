"""Which texts are nearly the same: exact TF-IDF cosines by sparse products of blocks, never of all with all at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from shared.errors import InvalidArgument

_ROUNDING = 1e-9


def require_threshold(threshold: float) -> None:
    """InvalidArgument for a threshold of cosines that is out of range."""
    if not 0 < threshold <= 1:
        raise InvalidArgument("A cosine threshold lies in (0, 1].", field="threshold", value=threshold)


class NearTexts:
    """Texts that can be compared with each other.

    Args:
        texts: (n,) at least one.
        threshold: In (0, 1]; a TF-IDF cosine at or above it makes two texts one. A text without a word is near equal ones alone.
    """

    def __init__(self, texts: Sequence[str], threshold: float) -> None:
        self._threshold = threshold - _ROUNDING
        words = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b").build_analyzer()
        # A text without a word is a word of its own, which no other text holds.
        self._rows: Any = TfidfVectorizer(analyzer=lambda text: words(text) or [text]).fit_transform(texts)

    def near(self, rows: NDArray[np.int64], others: NDArray[np.int64]) -> Any:
        """Which of the others are near each of the rows.

        Args:
            rows: (a,) places in the texts.
            others: (b,) likewise.

        Returns: (a, b) sparse rows (CSR) with an entry where two texts are one.
        """
        cosines = (self._rows[rows] @ self._rows[others].T).tocsr()
        is_far = cosines.data < self._threshold
        cosines.data[is_far] = 0.0
        cosines.eliminate_zeros()
        return cosines
