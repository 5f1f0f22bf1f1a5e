"""Which option a model takes where its replies cannot be read well: the likeliest one. It knows no model and no texts.

Small models, and models that were never taught to answer with a letter, choose better than they write.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidArgument


def likeliest(logprobs: Sequence[float], temperature: float, noise: NDArray[np.floating]) -> int:
    """The option whose whole reply is the likeliest; above temperature 0, one drawn with chance p_i^(1/T) / sum_j p_j^(1/T).

    The draw takes the largest of log p_i / T + Gumbel noise (Maddison et al. 2014), so that keyed noise gives keyed draws.

    Args:
        logprobs: (k,) log p_i: the sum over all tokens of option i's reply, its end token included, in nats; -inf: impossible.
        temperature: T >= 0; 0 takes the largest, ties to the first.
        noise: (k,) standard Gumbel; plays no part at temperature 0.

    Returns: Its place, 0 <= i < k.
    Raises: InvalidArgument: no option, or none is possible.
    """
    scores = np.asarray(logprobs, dtype=np.float64)
    if len(scores) == 0 or np.isnan(scores).any() or np.isneginf(scores).all():
        raise InvalidArgument("No option is possible.", field="logprobs", value=list(logprobs)[:5])
    if temperature > 0:
        scores = scores / temperature + noise
    return int(np.argmax(scores))
