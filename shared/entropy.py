"""How unsure a model is of an answer that it gave (Eq. 3): routing and uncertainty sampling measure it in the same way."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from shared.errors import InvalidArgument


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
