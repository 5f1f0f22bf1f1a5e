"""The adaptive draw: which of the images that were found are annotated, and for which capability each.

It knows the candidates, what found them and how often each capability fails; nothing of vectors, files or labels that an
image may carry: an image's capability is in the profile of what found it, a prototype or a cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from services.retrieval.domain.quotas import allot
from shared.errors import InvalidArgument


class Strategy(StrEnum):
    """How images are drawn: the paper's way, and the arms that it is compared with."""

    FAILURE_DRIVEN = "failure_driven"  # found by prototypes, capabilities weighted by e_k ** alpha
    FAILURE_CONTRAST = "failure_contrast"  # nearer to failures than to successes, nearest first; weighted alike
    RANDOM = "random"  # every eligible image alike; prototypes play no part
    UNIFORM_CAPABILITY = "uniform_capability"  # found by prototypes, capabilities weighted alike (alpha = 0)
    SHUFFLED_FAILURES = "shuffled_failures"  # as failure_contrast, with the failures of other dev images
    NOVELTY = "novelty"  # farthest from what the model was trained on; capabilities play no part
    K_CENTRE = "k_centre"  # covering best what is left; capabilities play no part
    UNCERTAINTY = "uncertainty"  # the model is least sure of its answers; capabilities play no part


#: Compare the images of the pool with what the model was trained on.
BY_REFERENCE = frozenset({Strategy.NOVELTY, Strategy.K_CENTRE})
#: Draw by a score alone, whatever fails.
BY_SCORE = BY_REFERENCE | {Strategy.UNCERTAINTY}
#: Look at no failure.
WITHOUT_FAILURES = BY_SCORE | {Strategy.RANDOM}
#: Compare failures, or what is taken for them, with the rest; and what they do where there are too few of either.
BY_CONTRAST = {
    Strategy.FAILURE_CONTRAST: Strategy.FAILURE_DRIVEN,
    Strategy.SHUFFLED_FAILURES: Strategy.RANDOM,  # a control that drew by the failures themselves would be none
}


@dataclass(frozen=True, eq=False)
class Candidates:
    """The eligible images.

    Attributes:
        image_ids: (n,) sorted, unique: position decides every tie.
        prototype: (n,) int64 what found each, a row of the profiles; not read by the random strategy, nor by those of a score.
        score: (n,) of those that one row found, the highest are taken; None: each with the same chance. A strategy that draws by
            a score takes the highest of all.
    """

    image_ids: Sequence[str]
    prototype: NDArray[np.int64]
    score: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class Draw:
    """What was drawn.

    Attributes:
        rows: (m,) int64 rows of the candidates, ascending.
        capabilities: (m,) the capability that each image was drawn for; "" under the random strategy and those of a score.
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

    Capability k gets the share w_k of the budget, rounded by chance, however many images each prototype found and however
    large the budget is; what it cannot fill goes to the others by their weights (`allot`). An image is drawn for k with a
    chance proportional to c_k, its part in the profile of what found it.

    Args:
        candidates: The eligible images; not modified.
        profiles: Of each prototype (or cell), capability to the share of its members in [0, 1].
        error_rates: Capability to e_k; those that no candidate has play no part.
        strategy: Which of the ways.
        alpha: Exponent of the error rates; taken as 0 by the uniform strategy, not read by the random one.
        budget: B >= 0.
        rng: Draws; the same state and candidates give the same draw.

    Returns: The draw; ties of scores by image id.
    Raises: InvalidArgument: the budget is negative, ids are not sorted and unique, a score is missing, or a parameter is out of
        range.
    Cost: O(n log n + budget * profiles).
    """
    if budget < 0:
        raise InvalidArgument("A budget is not negative.", field="budget", value=budget)
    ids = candidates.image_ids
    if any(first >= second for first, second in pairwise(ids)):
        raise InvalidArgument("Candidates are sorted by image id, each once.", field="image_ids", value=len(ids))
    if strategy is Strategy.RANDOM or strategy in BY_SCORE:
        rows = np.sort(_ranked(candidates, strategy, rng)[:budget])
        why = "the model was asked about" if strategy is Strategy.UNCERTAINTY else "the pool has"
        return Draw(rows, ("",) * len(rows), _reason(len(rows), budget, f"{why} no more eligible images"))
    names = sorted(error_rates)
    weights = capability_weights(error_rates, 0.0 if strategy is Strategy.UNIFORM_CAPABILITY else alpha)
    table = np.array([[profile.get(name, 0.0) for name in names] for profile in profiles], dtype=np.float64)
    sizes = np.bincount(candidates.prototype, minlength=len(profiles))
    chosen: dict[int, int] = {}
    if len(ids) and weights:
        taken = allot(sizes, table, np.array([weights[name] for name in names]), budget, rng)
        chosen = _choose(candidates, taken, rng)
    why = "no more images were found for a capability that fails" if weights else "no capability fails"
    rows = np.array(sorted(chosen), dtype=np.int64)
    return Draw(rows, tuple(names[chosen[row]] for row in rows), _reason(len(rows), budget, why))


def _ranked(candidates: Candidates, strategy: Strategy, rng: np.random.Generator) -> NDArray[np.int64]:
    """The rows of all candidates in the order in which they are drawn where no capability plays a part."""
    if strategy is Strategy.RANDOM:
        return rng.permutation(len(candidates.image_ids))
    if candidates.score is None:
        raise InvalidArgument("A draw by a score needs one.", field="score", value=strategy.value)
    return np.argsort(-candidates.score, kind="stable")


def _choose(candidates: Candidates, taken: NDArray[np.int64], rng: np.random.Generator) -> dict[int, int]:
    """Row of each drawn candidate to the column that it was drawn for, so many of each prototype as `taken` says."""
    chosen: dict[int, int] = {}
    by_prototype = np.argsort(candidates.prototype, kind="stable")
    ends = np.cumsum(np.bincount(candidates.prototype, minlength=len(taken)))
    for counts, members in zip(taken, np.split(by_prototype, ends[:-1]), strict=True):
        if candidates.score is None:
            ranked = rng.permutation(members)
        else:
            ranked = members[np.argsort(-candidates.score[members], kind="stable")]
        columns = rng.permutation(np.repeat(np.arange(len(counts)), counts))
        chosen.update(zip(ranked.tolist(), columns.tolist(), strict=False))
    return chosen


def _reason(drawn: int, budget: int, why: str) -> str:
    return "" if drawn == budget else f"{drawn} of {budget}: {why}"
