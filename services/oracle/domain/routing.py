"""Who labels a sample: the model itself, the reference, or an expert (Eq. 3 and the rule of section 2.3).

It knows answers, log-probabilities and thresholds; nothing of who gave them or what happens next.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from sklearn.feature_extraction.text import TfidfVectorizer

from shared.errors import InvalidArgument
from shared.quality_level import closing_level
from shared.rows.annotation import Route

#: The three paths: adopt the model's own annotation (confident and consistent), adopt the reference's (uncertain), or ask an
#: expert (confident, yet disagrees).
SELF: Final = "self"
REFERENCE: Final = "reference"
EXPERT: Final = "expert"


def trajectory_entropy(token_logprobs: ArrayLike) -> float:
    """Eq. 3: H^traj = -(1 / |y|) sum_l log M(y_l | x, q, y_<l), in nats per token.

    Args:
        token_logprobs: (|y|,) natural log-probability of each token of the model's own answer, at most 0; rounding up
            to 1e-4 above 0 is read as 0.

    Returns: At least 0; infinite where a token had probability 0.
    Raises: InvalidArgument: no tokens, or a number that is no log-probability.
    """
    logprobs = np.asarray(token_logprobs, dtype=np.float64)
    if logprobs.ndim != 1 or len(logprobs) == 0:
        remedy = "Ask the model for the log-probabilities of its answer."
        raise InvalidArgument(
            "One or more log-probabilities are needed.", field="token_logprobs", value=logprobs.shape, remedy=remedy
        )
    if np.isnan(logprobs).any() or (logprobs > 1e-4).any():
        raise InvalidArgument("A log-probability is at most 0.", field="token_logprobs", value=float(logprobs.max()))
    return float(-np.minimum(logprobs, 0).mean()) + 0.0


def agreement_choice(self_choice: str | None, reference_choice: str | None) -> float:
    """delta^ann for a multiple-choice answer: 1 where both took the same option, else 0.

    Args:
        self_choice: The model's option, None where its reply names none.
        reference_choice: The reference's, likewise.

    Returns: 0 or 1; an answer that names no option agrees with nothing.
    """
    return float(self_choice is not None and self_choice == reference_choice)


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


def agreement_description(self_text: str, reference_text: str, similarity: TextSimilarity, *, tau_text: float) -> float:
    """delta^ann for a description: 1 where both close with the same quality level and share enough of their words, else 0.

    Args:
        self_text: The model's description.
        reference_text: The reference's.
        similarity: Over a corpus that holds both, such as all descriptions of one work.
        tau_text: Least similarity, 0..1; the paper does not give it.

    Returns: 0 or 1; 0 where a level is missing or they differ.
    Source: section 2.3 leaves R(., .) open; this is ours.
    """
    level = closing_level(self_text)
    is_same = bool(level) and level == closing_level(reference_text)
    return float(is_same and similarity(self_text, reference_text) >= tau_text)


def route(entropy: float, agreement: float, *, tau_entropy: float, tau_agreement: float) -> Route:
    """The routing logic of section 2.3.

    (a) H >= tau_H: reference. (b) H < tau_H and delta < tau_ann: expert. (c) otherwise: self.

    Args:
        entropy: H^traj, at least 0 (infinite allowed).
        agreement: delta^ann in [0, 1]; read only where the model is confident.
        tau_entropy: tau_H, at least 0; 0 adopts nothing of the model's own. The paper does not give it.
        tau_agreement: tau_ann in [0, 1]; 0 never asks an expert. The paper does not give it.

    Returns: `SELF`, `REFERENCE` or `EXPERT`.
    Raises: InvalidArgument: a number is out of range.
    """
    if math.isnan(entropy) or entropy < 0:
        raise InvalidArgument("An entropy is at least 0.", field="entropy", value=entropy)
    if math.isnan(tau_entropy) or tau_entropy < 0:
        raise InvalidArgument("An entropy threshold is at least 0.", field="tau_entropy", value=tau_entropy)
    for field, value in (("agreement", agreement), ("tau_agreement", tau_agreement)):
        if not 0 <= value <= 1:
            raise InvalidArgument("An agreement lies in [0, 1].", field=field, value=value)
    if entropy >= tau_entropy:
        return REFERENCE
    return EXPERT if agreement < tau_agreement else SELF
