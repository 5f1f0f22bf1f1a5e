"""The adaptive draw: which of the images that were found are annotated, and for which capability each.

It knows the candidates, what found them and how often each capability fails; nothing of vectors, files or labels that an
image may carry: an image's capability is the profile of the prototype that found it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidArgument


class Strategy(StrEnum):
    """How images are drawn: the paper's way, and the arms that it is compared with."""

    FAILURE_DRIVEN = "failure_driven"  # capabilities weighted by e_k ** alpha
    RANDOM = "random"  # every eligible image alike; prototypes play no part
    UNIFORM_CAPABILITY = "uniform_capability"  # found by prototypes, capabilities weighted alike (alpha = 0)


@dataclass(frozen=True, eq=False)
class Candidates:
    """The eligible images.

    Attributes:
        image_ids: (n,) sorted, unique: position decides every tie.
        prototype: (n,) int64 the prototype that found each; not read by the random strategy.
    """

    image_ids: Sequence[str]
    prototype: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Draw:
    """What was drawn.

    Attributes:
        rows: (m,) int64 rows of the candidates, ascending.
        capabilities: (m,) the capability that each image was drawn for; "" under the random strategy.
        reason: Why fewer were drawn than asked for; "" where exactly the budget was.
    """

    rows: NDArray[np.int64]
    capabilities: tuple[str, ...]
    reason: str


def capability_weights(error_rates: Mapping[str, float], alpha: float) -> dict[str, float]:
    """Adaptive sampling weights w_k proportional to e_k ** alpha.

    With alpha = 0 every capability weighs the same, one that never fails included (0 ** 0 = 1). With alpha > 0 a capability
    that never fails weighs nothing; where none fails there is nothing to prioritise and no weights.

    Args:
        error_rates: Capability to e_k in [0, 1] (Eq. 1).
        alpha: At least 0; the paper does not give it.

    Returns: Capability to w_k, sorted, of sum 1; empty where alpha > 0 and no capability fails, or there is none.
    Raises: InvalidArgument: a rate or alpha is out of range.
    Source: section 2.3.
    """
    if not (np.isfinite(alpha) and alpha >= 0):
        raise InvalidArgument("The exponent of the error rates is at least 0.", field="alpha", value=alpha)
    for capability, rate in error_rates.items():
        if not 0 <= rate <= 1:
            raise InvalidArgument("An error rate lies in [0, 1].", field=capability, value=rate)
    highest = max(error_rates.values(), default=0.0) or 1.0  # taken out, so that no power vanishes in the last bits
    powers = {name: (float(error_rates[name]) / highest) ** alpha for name in sorted(error_rates)}
    total = sum(powers.values())
    return {capability: power / total for capability, power in powers.items()} if total > 0 else {}


def draw_samples(
    candidates: Candidates,
    profiles: Sequence[Mapping[str, float]],
    error_rates: Mapping[str, float],
    *,
    strategy: Strategy,
    alpha: float,
    budget: int,
    rng: np.random.Generator,
) -> Draw:
    """Draw exactly `budget` images without replacement, or all there are with the reason.

    The weight of capability k is shared among the candidates that have it: with profile c_k(i) of the prototype that found
    image i, the chance that a single draw is image i for capability k is w_k c_k(i) / sum_j c_k(j). So the budget is split
    between capabilities as the w_k say, however many images each prototype found. Image i weighs the sum of this over k.
    Weighted draws without replacement take the largest log(u) / weight (Efraimidis & Spirakis 2006); the capability of a drawn
    image is then drawn from its share of that sum.

    Args:
        candidates: The eligible images; not modified.
        profiles: Of each prototype, capability to the share of its members in [0, 1].
        error_rates: Capability to e_k; those that no candidate has play no part.
        strategy: Which of the three ways.
        alpha: Exponent of the error rates; read by the failure-driven strategy only.
        budget: B >= 0.
        rng: Draws; the same state and candidates give the same draw.

    Returns: The draw; ties by image id.
    Raises: InvalidArgument: the budget is negative, ids are not sorted and unique, or a parameter is out of range.
    Cost: O(n * capabilities).
    """
    if budget < 0:
        raise InvalidArgument("A budget is not negative.", field="budget", value=budget)
    ids = candidates.image_ids
    if any(first >= second for first, second in pairwise(ids)):
        raise InvalidArgument("Candidates are sorted by image id, each once.", field="image_ids", value=len(ids))
    if strategy is Strategy.RANDOM:
        rows = np.sort(rng.permutation(len(ids))[:budget])
        return Draw(rows, ("",) * len(rows), _reason(len(rows), budget, "the pool has no more eligible images"))
    names = sorted(error_rates)
    weights = capability_weights(error_rates, 0.0 if strategy is Strategy.UNIFORM_CAPABILITY else alpha)
    shares = _shares(candidates.prototype, profiles, [weights.get(name, 0.0) for name in names], names)
    image_weights = shares.sum(axis=1)
    keys = np.log(1 - rng.random(len(ids)))
    eligible = np.flatnonzero(image_weights > 0)
    order = np.argsort(-keys[eligible] / image_weights[eligible], kind="stable")
    rows = np.sort(eligible[order[:budget]])
    threshold = rng.random(len(ids))[rows, None] * image_weights[rows, None]
    chosen = np.minimum((np.cumsum(shares[rows], axis=1) <= threshold).sum(axis=1), _last_positive(shares[rows]))
    why = "no more images were found for a capability that fails" if weights else "no capability fails"
    return Draw(rows, tuple(names[k] for k in chosen), _reason(len(rows), budget, why))


def _shares(
    prototype: NDArray[np.int64], profiles: Sequence[Mapping[str, float]], weights: list[float], names: list[str]
) -> NDArray[np.float64]:
    """(n, K) w_k c_k(i) / sum_j c_k(j); 0 where no candidate has the capability."""
    table = np.array([[profile.get(name, 0.0) for name in names] for profile in profiles], dtype=np.float64)
    if table.size == 0 or len(prototype) == 0:
        return np.zeros((len(prototype), len(names)))
    n_found = np.bincount(prototype, minlength=len(profiles))
    mass = n_found @ table
    per_prototype = np.divide(table * np.array(weights), mass, out=np.zeros_like(table), where=mass > 0)
    shares: NDArray[np.float64] = per_prototype[prototype]
    return shares


def _last_positive(shares: NDArray[np.float64]) -> NDArray[np.intp]:
    last: NDArray[np.intp] = shares.shape[1] - 1 - np.argmax(shares[:, ::-1] > 0, axis=1)
    return last


def _reason(drawn: int, budget: int, why: str) -> str:
    return "" if drawn == budget else f"{drawn} of {budget}: {why}"
