"""How near two texts are; apart from the rules of routing, since it takes scikit-learn, which migrations must not need."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sklearn.feature_extraction.text import TfidfVectorizer


class TextSimilarity:
    """The TF-IDF cosine of two texts, in [0, 1].

    Args:
        corpus: Texts that the inverse document frequencies are taken from, in whatever order; 0 is all that it says where they
            hold no word.
    """

    def __init__(self, corpus: Iterable[str]) -> None:
        texts = sorted(text for text in corpus if re.search(r"\w", text))
        self._vectorizer = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b").fit(texts) if texts else None

    def __call__(self, first: str, second: str) -> float:
        """The cosine to 12 digits; 0 where one has no word of the corpus."""
        if self._vectorizer is None:
            return 0.0
        vectors = self._vectorizer.transform([first, second])
        return min(1.0, round(float(vectors[0].multiply(vectors[1]).sum()), 12))
