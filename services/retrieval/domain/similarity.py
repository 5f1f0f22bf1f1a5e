"""Eq. 2: which pool images lie in the neighbourhood of a failure prototype, and how wide it is.

An index says how similar images are; which of them count, and for which prototype, is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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


def tau_of_share(best: NDArray[np.float32], share: float) -> float:
    """The lowest tau_sim at which at most this share of the pool lies in some neighbourhood.

    How large a cosine is depends on the encoder; which part of the pool is near is a question that has the same meaning for all.

    Args:
        best: (n,) float32, n > 0: the cosine of each eligible image to its most similar prototype.
        share: In (0, 1].

    Returns: A cosine of `best`, or for the whole pool one just below all of them: `best > tau` holds for the largest
        floor(share * n), and for fewer where equal ones stand on the border.
    """
    n_near = int(share * len(best) + 1e-9)  # 0.07 * 100 is 7.000000000000001, and 0.29 * 100 is 28.999999999999996
    if n_near >= len(best):
        return float(np.nextafter(best.min(), np.float32(-2)))
    return float(np.partition(best, len(best) - 1 - n_near)[len(best) - 1 - n_near])
