"""How often the stop rule errs, how small a gain it can tell, and how often an interval of few sources holds the truth.

    python -m studies.stop_rule

prints the tables of `docs/stopping.md`: simulated answers, judged by the product's own intervals and rule.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from services.controller.configuration.models import StopSection
from services.controller.domain.detection import (
    expected_detectable_gain,
    measured_detectable_gain,
    within_source_correlation,
)
from services.controller.domain.plateau import is_plateau, verdict_on
from shared.statistics import Interval, bootstrap_mean, paired_bootstrap

#: How often an item is answered rightly that the model can do, and one that it cannot.
ABLE, UNABLE = 0.9, 0.15
N_RUNS = 5
_RULE = StopSection()


@dataclass(frozen=True)
class World:
    """A set of development items, and how a model changes on it from round to round.

    Attributes:
        n_items, n_sources: Sizes; sources are of unequal size.
        baseline: Accuracy of the base model.
        turnover: Share of the items that the model comes to do, or to miss, in a round where all sources are alike.
        spread: Standard deviation over sources of a round's gain: some sources gain while others lose.
        gain: True gain of each round.
    """

    n_items: int = 2000
    n_sources: int = 200
    baseline: float = 0.6
    turnover: float = 0.15
    spread: float = 0.05
    gain: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What came of a world: shares of repetitions, and means over them."""

    stopped_first: float
    stopped_second: float
    unclear: float
    detectable: float
    correlation: float
    changed: float


def rounds_of(
    world: World, rng: np.random.Generator, n_rounds: int = 2
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Scores of the items.

    Returns: (n_rounds + 1, n_items) shares of right answers of five, and (n_items,) the source of each item.
    """
    weights = rng.gamma(4.0, size=world.n_sources)
    drawn = rng.choice(world.n_sources, world.n_items - world.n_sources, p=weights / weights.sum())
    sources = np.concatenate([np.arange(world.n_sources), drawn])
    scale = ABLE - UNABLE
    share, step = (world.baseline - UNABLE) / scale, world.gain / scale
    able = rng.random(world.n_items) < rng.beta(5 * share, 5 * (1 - share), world.n_sources)[sources]
    scores = [_answered(able, rng)]
    for _ in range(n_rounds):
        own = rng.uniform(-1, 1, world.n_sources) * world.spread * 3**0.5 / scale
        rise = ((world.turnover + step) / 2 + np.maximum(own, 0)) / (1 - share)
        fall = ((world.turnover - step) / 2 + np.maximum(-own, 0)) / share
        turns = rng.random(world.n_items) < np.where(able, fall[sources], rise[sources])
        able, share = able ^ turns, share + step
        scores.append(_answered(able, rng))
    return np.array(scores), sources


def _answered(able: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.binomial(N_RUNS, np.where(able, ABLE, UNABLE)) / N_RUNS


def play(world: World, repetitions: int, seed: int = 0) -> Outcome:
    """Two rounds of a world, again and again, judged by the rule with its default settings."""
    first = second = unclear = 0
    detectable: list[float] = []
    correlation: list[float] = []
    changed: list[float] = []
    limits = {"minimum_gain": _RULE.min_gain, "excluded_gain": _RULE.excluded_gain}
    for number in range(repetitions):
        rng = np.random.default_rng([seed, number])
        scores, sources = rounds_of(world, rng)
        gains = [_gain(scores[i], scores[i + 1], sources, rng) for i in range(2)]
        stops = [is_plateau(gains[: i + 1], patience=_RULE.patience, **limits) for i in range(2)]
        first, second = first + stops[0], second + any(stops)
        unclear += verdict_on(gains[0], **limits) == "unclear"
        detectable.append(measured_detectable_gain(gains[0]) or np.nan)
        correlation.append(within_source_correlation(scores[1] - scores[0], sources.tolist()) or 0.0)
        changed.append(float(np.mean((scores[0] >= 0.5) != (scores[1] >= 0.5))))
    shares = (first / repetitions, second / repetitions, unclear / repetitions)
    return Outcome(*shares, float(np.mean(detectable)), float(np.mean(correlation)), float(np.mean(changed)))


def _gain(
    before: NDArray[np.float64], after: NDArray[np.float64], sources: NDArray[np.int64], rng: np.random.Generator
) -> Interval:
    return paired_bootstrap(before, after, sources.tolist(), rng)


def expected(world: World) -> float:
    """The smallest detectable gain that is shown before a run on such items."""
    sources = rounds_of(world, np.random.default_rng(0), 0)[1]
    return expected_detectable_gain(np.bincount(sources).tolist(), N_RUNS) or np.nan


def coverage(n_sources: int, truth: float, repetitions: int, seed: int = 0, items: int = 10) -> float:
    """How often the 95 % interval of an accuracy holds the truth; sources have 2 to `2 * items` items each."""
    rng, held = np.random.default_rng([seed, n_sources]), 0
    for _ in range(repetitions):
        sources = np.repeat(np.arange(n_sources), rng.integers(2, 2 * items, n_sources))
        rate = rng.beta(9 * truth, 9 * (1 - truth), n_sources)[sources]  # correlation 0.1 within a source
        interval = bootstrap_mean(rng.random(len(sources)) < rate, sources.tolist(), rng)
        held += interval.low is not None and interval.high is not None and interval.low <= truth <= interval.high
    return held / repetitions


#: The worlds of the first table: one like the next, but for what changes.
BASE = World()
WORLDS = (
    BASE,
    replace(BASE, baseline=0.4),
    replace(BASE, baseline=0.75, turnover=0.10, spread=0.03),
    replace(BASE, turnover=0.05, spread=0.02),
    replace(BASE, turnover=0.25, spread=0.08),
    replace(BASE, turnover=0.20, spread=0.12),
    replace(BASE, n_sources=40),
    replace(BASE, n_items=1000),
    replace(BASE, n_items=600),
    replace(BASE, n_items=300, n_sources=100),
    replace(BASE, n_items=60, n_sources=20),
)


def rule_table(repetitions: int) -> Iterator[str]:
    """The first table of the page, line by line."""
    yield (
        "| items / sources | baseline | items that change | correlation | stops within two rounds at gain 0 "
        "| false stop at 3 points, in a round | within two | unclear at gain 0 | detectable, expected / measured |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for world in WORLDS:
        none, three = play(world, repetitions), play(replace(world, gain=_RULE.excluded_gain), repetitions, 1)
        yield (
            f"| {world.n_items} / {world.n_sources} | {world.baseline} | {none.changed:.0%} | {none.correlation:.2f} "
            f"| {none.stopped_second:.0%} | {three.stopped_first:.1%} | {three.stopped_second:.1%} | {none.unclear:.0%} "
            f"| {100 * expected(world):.1f} / {100 * none.detectable:.1f} points |"
        )


def coverage_table(repetitions: int) -> Iterator[str]:
    """The second."""
    yield "| sources | accuracy 0.4 | 0.7 | 0.9 |"
    yield "|---|---|---|---|"
    for n_sources in (3, 5, 8, 10, 20, 40, 60, 200):
        shares = " | ".join(f"{coverage(n_sources, truth, repetitions):.1%}" for truth in (0.4, 0.7, 0.9))
        yield f"| {n_sources} | {shares} |"


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=300)
    repetitions = parser.parse_args().repetitions
    for line in chain(rule_table(repetitions), [""], coverage_table(4 * repetitions)):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
