"""How many images of which group are drawn for which capability: as the weights say, as far as there are images.

Knows no images: `sampling` puts candidates of like profile into a group and draws within it.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


def allot(sizes: Counts, profiles: Floats, weights: Floats, budget: int, rng: np.random.Generator) -> Counts:
    """Split a budget between capabilities by weight, and each part between the groups that have the capability.

    Of the budget, capability k gets the share w_k, rounded by chance so that its expectation is exact. An image of group g is
    taken for k with a chance proportional to c_k(g), among the images that are left. Where those of k are taken for others, the
    others change to other images if they can. What k cannot get at all goes to the others by their weights.

    Args:
        sizes: (P,) images of each group.
        profiles: (P, K) c_k(g) in [0, 1]; 0 where images of group g are never taken for k.
        weights: (K,) w_k, not negative; a capability that weighs nothing gets nothing.
        budget: Images in all, at least 0.
        rng: Rounds and chooses.

    Returns: (P, K) images by group and capability. Their sum is the budget, or less where no capability can get more.
    Cost: O(budget * P), and a search in O(P * K) for each image that has to be exchanged.
    """
    taken = np.zeros(profiles.shape, dtype=np.int64)
    free = sizes.astype(np.int64)
    is_open = (weights > 0) & (sizes @ profiles > 0)
    while (missing := budget - int(taken.sum())) and is_open.any():
        quotas = _round_by_chance(missing * np.where(is_open, weights, 0.0) / weights[is_open].sum(), missing, rng)
        for k in _in_turn(quotas):
            is_open[k] = is_open[k] and _take(k, taken, free, profiles, rng)
    return taken


def _take(k: int, taken: Counts, free: Counts, profiles: Floats, rng: np.random.Generator) -> bool:
    """Take one more image for capability k; False where there is none, and then there never will be."""
    chances = np.cumsum(profiles[:, k] * free)
    if chances[-1] > 0:
        group = int(np.searchsorted(chances, (1 - rng.random()) * chances[-1]))  # 1 - u is never 0: no empty group
        taken[group, k] += 1
        free[group] -= 1
        return True
    return _exchange(k, taken, free, profiles > 0)


def _exchange(k: int, taken: Counts, free: Counts, has: NDArray[np.bool_]) -> bool:
    """Give k an image that was taken for another capability, and that one another image, along the shortest such chain."""
    came_from: dict[int, tuple[int, int]] = {int(g): (-1, k) for g in np.flatnonzero(has[:, k])}
    waiting = deque(came_from)
    while waiting:
        group = waiting.popleft()
        if free[group]:
            free[group] -= 1
            while group >= 0:
                previous, capability = came_from[group]
                taken[group, capability] += 1
                if previous >= 0:
                    taken[previous, capability] -= 1
                group = previous
            return True
        for other in np.flatnonzero(taken[group]).tolist():
            for reachable in np.flatnonzero(has[:, other]).tolist():
                if reachable not in came_from:
                    came_from[reachable] = (group, other)
                    waiting.append(reachable)
    return False


def _round_by_chance(expected: Floats, total: int, rng: np.random.Generator) -> Counts:
    """(K,) whole numbers of sum `total`, each next to what is expected of it and equal to it on average."""
    edges = np.cumsum(expected)
    edges[-1] = total
    upper = np.floor(edges + rng.random()).astype(np.int64)
    return np.diff(upper, prepend=0)


def _in_turn(quotas: Counts) -> list[int]:
    """Capabilities in an order in which each is served evenly: none takes all of its images before the others."""
    capability = np.repeat(np.arange(len(quotas)), quotas)
    place = np.concatenate([(np.arange(n) + 0.5) / n for n in quotas if n] or [np.zeros(0)])
    served: list[int] = capability[np.argsort(place, kind="stable")].tolist()
    return served
