"""Which arms an experiment has: blocks of runs, the primary comparison first; a run has one pool and many arms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from studies.experiment.settings import Settings
from studies.folder import EVERY_ANSWER, POOL_ANSWERS

#: The strategy that is tested, what it is tested against, and the paper's rule as printed.
OURS, RANDOM, PRINTED = "failure_contrast", "random", "failure_driven"
#: Budgets of random drawing, in budgets of the tested strategy.
MULTIPLES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
#: The pool of the primary comparison, by the percentage of its images that show a left-out cell.
PRIMARY_POOL = "pool-3"
#: Holds left-out images alone, by the truth: no selection finds more of them.
IDEAL_POOL = "pool-ideal"
POOLS = (PRIMARY_POOL, "pool-10", "pool-30", "pool-uniform", IDEAL_POOL)
#: Factor of the steps in the block `steps4`.
MORE_STEPS = 4

#: The exponent that the paper's formula has where it names none.
_AS_PRINTED = MappingProxyType({"alpha": 1.0})
_CLEAN = MappingProxyType({"simulated_oracle_accuracy": 1.0, "simulated_expert_accuracy": 1.0})


@dataclass(frozen=True)
class Arm:
    """One arm: a strategy and how it differs from the others.

    Attributes:
        name: Unique within its block among the arms of one mix.
        strategy: How images are drawn.
        multiple: Its budget, in budgets of the tested strategy.
        has_dev_labels: It draws, over all rounds, as many images more as dev has.
        steps_factor: Its steps, in steps of the others; each pass is repeated as often.
        against: The arm of the same mix that it is compared with, in its block or an earlier one.
        select, annotate, build: What it changes of these sections of the run.
    """

    name: str
    strategy: str
    multiple: float = 1.0
    has_dev_labels: bool = False
    steps_factor: int = 1
    against: str = RANDOM
    select: Mapping[str, Any] = field(default_factory=dict)
    annotate: Mapping[str, Any] = field(default_factory=dict)
    build: Mapping[str, Any] = field(default_factory=dict)

    def images(self, settings: Settings, n_dev_images: int) -> int:
        """Images that it draws in a round; as many as dev has are spread over the rounds, the last part rounded up."""
        more = -(-n_dev_images // settings.rounds) if self.has_dev_labels else 0
        return round(self.multiple * settings.budget) + more

    def section(self, settings: Settings, n_dev_images: int) -> dict[str, Any]:
        """The arm as it stands in a run's file: its budget and steps, and what it changes beside them."""
        changes = {
            "select": {"budget": self.images(settings, n_dev_images), **self.select},
            "annotate": self.annotate,
            "build": self.build,
            "train": {"steps": settings.steps * self.steps_factor},
        }
        return {"name": self.name, "strategy": self.strategy, **{key: dict(of) for key, of in changes.items() if of}}


@dataclass(frozen=True)
class Run:
    """One run of the product: a pool and its arms.

    Attributes:
        pool: Name of its manifest in the study folder, without the ending.
        arms: In the order in which they run.
        mix: The pool whose mix its accuracies are also weighted by.
        answers: What the simulated oracle and expert know: a few questions an image, the same for whatever it was drawn, or
            every question, among which they choose.
    """

    pool: str
    arms: tuple[Arm, ...]
    mix: str = PRIMARY_POOL
    answers: str = POOL_ANSWERS

    def work(self, settings: Settings) -> int:
        """Optimiser steps of all its arms: by these its share of the time is told."""
        return settings.steps * settings.rounds * sum(arm.steps_factor for arm in self.arms)


def budgets(strategy: str, multiples: tuple[float, ...], **same: Any) -> tuple[Arm, ...]:
    """A strategy at several budgets; each is compared with random drawing at budget 1."""
    return tuple(Arm(budget_name(strategy, one), strategy, one, **same) for one in multiples)


def budget_name(strategy: str, multiple: float) -> str:
    """What an arm of a strategy is called at a budget."""
    named = {1.0: "", 0.5: "_half"}
    return strategy + named.get(multiple, f"_{multiple:g}x")


#: Ends the name of an arm with more steps.
STEPS_SUFFIX = f"_steps{MORE_STEPS}"
_RANDOM_BUDGETS = budgets(RANDOM, MULTIPLES)
#: Of random drawing where left-out images are common.
_FEWER = MULTIPLES[:4]
#: Of the tested strategy, beside its budget 1 in the primary comparison.
_OWN = (0.5, 2.0, 4.0)

#: By the name of a block; within an experiment the names of arms are unique among those of one mix.
BLOCKS: Mapping[str, tuple[Run, ...]] = MappingProxyType(
    {
        "primary": (Run(PRIMARY_POOL, (Arm(OURS, OURS), *_RANDOM_BUDGETS, Arm(PRINTED, PRINTED, select=_AS_PRINTED))),),
        "controls": (
            Run(
                PRIMARY_POOL,
                (
                    *(
                        Arm(name, name)
                        for name in ("uniform_capability", "shuffled_failures", "novelty", "k_centre", "uncertainty")
                    ),
                    Arm(f"{PRINTED}_near_5_percent", PRINTED, select={**_AS_PRINTED, "tau_pool_share": 0.05}),
                    Arm(f"{OURS}_clean", OURS, annotate=_CLEAN, against="random_clean"),
                    Arm("random_clean", RANDOM, annotate=_CLEAN),
                    Arm("random_plus_dev", RANDOM, has_dev_labels=True),
                ),
            ),
            Run(IDEAL_POOL, (Arm("ideal", RANDOM),)),
        ),
        "steps4": (
            Run(
                PRIMARY_POOL,
                (
                    Arm(OURS + STEPS_SUFFIX, OURS, steps_factor=MORE_STEPS, against=RANDOM + STEPS_SUFFIX),
                    Arm(RANDOM + STEPS_SUFFIX, RANDOM, steps_factor=MORE_STEPS, against=RANDOM + STEPS_SUFFIX),
                    Arm(
                        f"random_16x{STEPS_SUFFIX}",
                        RANDOM,
                        16.0,
                        steps_factor=MORE_STEPS,
                        against=RANDOM + STEPS_SUFFIX,
                    ),
                ),
            ),
        ),
        "pools": tuple(
            Run(pool, (Arm(OURS, OURS), *budgets(RANDOM, _FEWER)), mix=pool)
            for pool in POOLS
            if pool not in (PRIMARY_POOL, IDEAL_POOL)
        ),
        "ablation": (
            Run(
                PRIMARY_POOL,
                (
                    Arm(OURS, OURS),
                    Arm("no_human_in_the_loop", OURS, annotate={"expert": "none"}),
                    Arm("no_capability_driven_questions", OURS, annotate={"questions": "seed_rule"}),
                    Arm("no_adaptive_sampling", OURS, select={"alpha": 0.0}),
                    Arm("no_quality_assurance", OURS, build={"quality_assurance": False}),
                    Arm(RANDOM, RANDOM),
                ),
                answers=EVERY_ANSWER,
            ),
        ),
        "scaling": (Run(PRIMARY_POOL, budgets(OURS, _OWN)),),
    }
)

#: The blocks of each experiment; every seed does one before any does the next.
EXPERIMENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sample-efficiency": ("primary", "controls", "steps4", "pools"),
        "ablation": ("ablation",),
        "scaling": ("primary", "scaling"),
    }
)
