"""What each image of a study shows: a pure function of the plan, the same whenever it is asked."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

from studies.images.degradations import DEGRADATIONS, NONE, SEVERITIES
from studies.plan import SPLITS, TAUGHT, WEAK_RARITY, StudyPlan
from studies.questions import Finding

T = TypeVar("T")


def plan_findings(plan: StudyPlan, split: str) -> list[Finding]:
    """What each image of a split shows, in the order of the file names, which tells nothing of it.

    Returns:
        `plan.sizes[split]` findings: `plan.n_left_out(split)` of left-out cells and `plan.n_clean(split)` clean, the
        others of known cells; cells and severities as even as the numbers allow; shuffled by the seed.
    """
    rng = np.random.default_rng([plan.seed, SPLITS.index(split)])
    n_left_out, n_clean = plan.n_left_out(split), plan.n_clean(split)
    left_out = itertools.cycle(_shuffled(_degraded(sorted(plan.left_out)), rng))
    known = itertools.cycle(_shuffled(_known(plan, split), rng))
    clean = itertools.cycle(_shuffled([Finding(modality, NONE, NONE) for modality in DEGRADATIONS], rng))
    return _shuffled(
        [
            *itertools.islice(left_out, n_left_out),
            *itertools.islice(clean, n_clean),
            *itertools.islice(known, plan.sizes[split] - n_left_out - n_clean),
        ],
        rng,
    )


def pool_members(plan: StudyPlan, name: str, findings: Sequence[Finding]) -> list[int]:
    """The places of a pool's images among all images of the pools, ascending.

    Args:
        plan: The plan.
        name: One of `plan.pools`.
        findings: `plan_findings(plan, "pool")`.
    """
    pool, rng = plan.pools[name], np.random.default_rng([plan.seed, *name.encode()])
    is_left_out = np.array([(finding.modality, finding.attribute) in plan.left_out for finding in findings], dtype=bool)
    rare, others = (rng.permutation(np.flatnonzero(mask)) for mask in (is_left_out, ~is_left_out))
    chosen = [*rare[: pool.n_left_out], *others[: pool.n_images - pool.n_left_out]]
    return sorted(map(int, chosen))


def slice_of(finding: Finding, plan: StudyPlan) -> str:
    """What the base model was taught of a cell."""
    cell = (finding.modality, finding.attribute)
    if finding.is_clean:
        return "clean"
    return "left_out" if cell in plan.left_out else "weak" if cell in plan.weak else "known"


def _known(plan: StudyPlan, split: str) -> list[Finding]:
    """One lap over the known cells; in what is taught, a weak one comes in one lap of several, and mild."""
    known = [cell for modality in DEGRADATIONS for cell in plan.known_cells(modality)]
    if split not in TAUGHT:
        return _degraded(known)
    weak = [Finding(*cell, SEVERITIES[0]) for cell in known if cell in plan.weak]
    return _degraded([cell for cell in known if cell not in plan.weak]) * WEAK_RARITY + weak * len(SEVERITIES)


def _degraded(cells: Iterable[tuple[str, str]]) -> list[Finding]:
    """Each cell at each severity."""
    return [Finding(modality, name, severity) for modality, name in cells for severity in SEVERITIES]


def _shuffled(things: Iterable[T], rng: np.random.Generator) -> list[T]:
    """The things in random order."""
    listed = list(things)
    return [listed[int(place)] for place in rng.permutation(len(listed))]
