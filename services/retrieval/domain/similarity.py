"""Eq. 2: which pool images lie in the neighbourhood of a failure prototype.

An index says how similar images are; which of them count, and for which prototype, is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Match:
    """An image in the neighbourhood of a prototype: its most similar one (row `prototype`, ties to the lowest)."""

    image_id: str
    prototype: int
    similarity: float


def neighbourhood(found: Iterable[tuple[int, str, float]], tau: float) -> list[Match]:
    """Eq. 2: the union of N(p_j) = {x in U : cos(p_j^vis, f_enc(x)) > tau_sim}, strictly above, over the prototypes.

    Args:
        found: (j, image id, cosine of p_j^vis and the image's vector), sorted by j; every image whose cosine is above tau, and
            others as may be. The cosines are float32.
        tau: tau_sim (paper: 0.75), compared as float32.

    Returns: Each image once, with its most similar prototype; sorted by image id.
    """
    threshold = np.float32(tau)
    best: dict[str, Match] = {}
    for prototype, image_id, similarity in found:
        is_nearer = image_id not in best or similarity > best[image_id].similarity
        if similarity > threshold and is_nearer:
            best[image_id] = Match(image_id, prototype, similarity)
    return [best[image_id] for image_id in sorted(best)]
