"""Who labels a sample: the model itself, the reference, or an expert (Eq. 3 and the rule of section 2.3).

It knows answers, log-probabilities and thresholds; nothing of who gave them or what happens next.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from shared.errors import InvalidArgument
from shared.quality_level import closing_level
from shared.rows.annotation import Route

#: How near two texts are, 0..1.
Similarity = Callable[[str, str], float]
#: The three paths: adopt the model's own annotation (confident and consistent), adopt the reference's (uncertain), or ask an
#: expert (confident, yet disagrees).
SELF: Final = "self"
REFERENCE: Final = "reference"
EXPERT: Final = "expert"


def agreement_choice(self_choice: str | None, reference_choice: str | None) -> float:
    """delta^ann for a multiple-choice answer: 1 where both took the same option, else 0.

    Args:
        self_choice: The model's option, None where its reply names none.
        reference_choice: The reference's, likewise.

    Returns: 0 or 1; an answer that names no option agrees with nothing.
    """
    return float(self_choice is not None and self_choice == reference_choice)


def agreement_description(self_text: str, reference_text: str, similarity: Similarity, *, tau_text: float) -> float:
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
