"""What an experiment showed, from its results alone: the content of `experiment.json`, which table and page are made of."""

from __future__ import annotations

import json
from collections import ChainMap, Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from shared.statistics import t_interval
from shared.synced import put_in_place
from studies.experiment.blocks import EXPERIMENTS, MULTIPLES, OURS, PRIMARY_POOL, RANDOM, STEPS_SUFFIX, budget_name
from studies.experiment.estimates import budget_ratio, paired_difference
from studies.experiment.results import ArmRound, Draw, Results
from studies.experiment.settings import Settings

Json = dict[str, Any]
Arms = Mapping[str, Sequence[ArmRound]]
"""Arms of one mix by name, each with all rounds of all seeds."""
BySeed = Mapping[int, ArmRound]
#: What is told of an arm on test.
FIGURES: Mapping[str, Callable[[ArmRound], float | None]] = {
    "overall": lambda row: row.accuracy.overall,
    "known": lambda row: row.accuracy.known,
    "weak": lambda row: row.accuracy.weak,
    "left_out": lambda row: row.accuracy.left_out,
    "pool_mix": lambda row: row.accuracy.pool_mix,
}
#: What the loop says of an arm that went through all of its rounds.
_ALL_ROUNDS = "rounds"
#: The tested strategy at budget 1, by the name of its arm.
_OURS = (OURS, OURS + STEPS_SUFFIX)


def summarise(name: str, results: Sequence[Results], settings: Settings) -> Json:
    """The summary.

    Args:
        name: Of the experiment.
        results: Of any seeds and blocks of it; each figure stands on the seeds that have what it needs, and says how many.
        settings: Of all of them.
    """
    mixes: dict[str, dict[str, list[ArmRound]]] = defaultdict(lambda: defaultdict(list))
    for row in (row for one in results for row in one.rows):
        mixes[row.mix][row.arm].append(row)
    return {
        "experiment": name,
        "settings": asdict(settings),
        "seeds": {block: [one.seed for one in results if one.block == block] for block in EXPERIMENTS[name]},
        "commits": sorted({one.commit for one in results}),
        "protocols": sorted({one.protocol for one in results}),
        "guessing": _mean(one.guessing for one in results),
        "simulated": ["images", "oracle", "expert"],
        "pools": [_pool(mix, arms) for mix, arms in mixes.items()],
        "losses": dict(Counter(line for one in results for line in one.losses)),
    }


def write_summary(out: Path, summary: Json) -> None:
    """Write `experiment.json`."""
    out.mkdir(parents=True, exist_ok=True)
    partial = out / "experiment.json.partial"
    partial.write_text(json.dumps(summary, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
    put_in_place(partial, out / "experiment.json")


def _pool(mix: str, arms: Arms) -> Json:
    # Of each seed that of the block named first: another block may have been run on another processor.
    base = ChainMap(*(_at(rows, 0) for rows in arms.values()))
    last = {name: _last(rows) for name, rows in arms.items()}
    return {
        "mix": mix,
        "is_primary": mix == PRIMARY_POOL,
        "enrichment": _mean(row.enrichment for rows in arms.values() for row in rows if row.pool == mix),
        "base": {figure: asdict(t_interval([*_values(base, take).values()])) for figure, take in FIGURES.items()},
        "arms": [_arm(rows, last) for rows in arms.values()],
        "real": _real({"base model": base, **{name: last[name] for name in (OURS, RANDOM) if name in last}}),
        "ratios": [ratio for suffix in ("", STEPS_SUFFIX) if (ratio := _ratio(last, suffix))],
    }


def _arm(rows: Sequence[ArmRound], last: Mapping[str, BySeed]) -> Json:
    """One line of the table."""
    first = rows[0]
    final = last[first.arm]
    base = _at(rows, 0)
    ours = next((last[name] for name in _OURS if name in last and _steps(last[name]) == first.steps), {})
    return {
        "name": first.arm,
        "strategy": first.strategy,
        "block": first.block,
        "pool": first.pool,
        "multiple": first.multiple,
        "budget": first.budget,
        "steps": first.steps,
        "n_seeds": len(final),
        "n_ended_early": sum(row.stop_reason != _ALL_ROUNDS for row in final.values()),
        "short": [
            {"seed": seed, **msgspec.structs.asdict(row.shortfall)} for seed, row in final.items() if row.shortfall
        ],
        "n_unscored": sum(row.accuracy.unscored for row in rows),
        "accuracy": {figure: asdict(t_interval([*_values(final, take).values()])) for figure, take in FIGURES.items()},
        "by": _by(final.values()),
        "over_base": _over(final, base),
        "against": first.against if first.against in last else "",
        "over_against": _over(final, last.get(first.against, {})) if first.against != first.arm else None,
        "ours_over": _over(ours, final) if ours is not final else None,
        "draw": _draw([row.draw for row in rows if row.draw is not None]),
        "rounds": [_round(number, rows) for number in sorted({row.round for row in rows})],
    }


def _steps(rows: BySeed) -> int:
    return next(iter(rows.values())).steps


def _round(number: int, rows: Sequence[ArmRound]) -> Json:
    at = _at(rows, number)
    return {
        "round": number,
        "n_images": rows[0].budget * number,
        "overall": asdict(t_interval([*_values(at, FIGURES["overall"]).values()])),
        "by": _by(at.values()),
    }


def _by(rows: Iterable[ArmRound]) -> dict[str, dict[str, Json]]:
    """Axis and value to the mean accuracy over seeds."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        for axis, values in row.accuracy.by.items():
            for value, share in values.items():
                found[axis][value].append(share)
    return {axis: {value: asdict(t_interval(shares)) for value, shares in of.items()} for axis, of in found.items()}


def _over(ours: BySeed, other: BySeed) -> dict[str, Json]:
    """Differences by figure, over the seeds that have both."""
    return {
        figure: asdict(paired_difference(_values(ours, take), _values(other, take))) for figure, take in FIGURES.items()
    }


def _draw(draws: Sequence[Draw]) -> Json:
    """What was drawn and labelled in all rounds and seeds, as shares."""

    def share(part: str, whole: str) -> float | None:
        n = sum(getattr(draw, whole) for draw in draws)
        return sum(getattr(draw, part) for draw in draws) / n if n else None

    return {
        "left_out": share("n_left_out", "n_images"),
        "wrong": share("n_wrong", "n_labels"),
        "expert": share("n_expert", "n_labels"),
    }


def _ratio(last: Mapping[str, BySeed], suffix: str) -> Json | None:
    """How many times the budget random drawing needs, where it was run at several."""
    random = {one: last[name] for one in MULTIPLES if (name := budget_name(RANDOM, one) + suffix) in last}
    ours = last.get(OURS + suffix, {})
    seeds = sorted(set(ours).intersection(*random.values())) if random else []
    if len(random) < 2 or not seeds:
        return None
    scores = [[rows[seed].accuracy.overall or 0.0 for rows in random.values()] for seed in seeds]
    reached = [ours[seed].accuracy.overall or 0.0 for seed in seeds]
    found = budget_ratio(list(random), scores, reached, np.random.default_rng(0))
    told = asdict(found)
    finite = {key: None if value is not None and np.isinf(value) else value for key, value in told.items()}
    return {
        **finite,
        "ours": OURS + suffix,
        "text": str(found),
        "value_text": found.text(found.value),
        "limits_text": found.limits,
    }


def _real(models: Mapping[str, BySeed]) -> Json | None:
    """Mean accuracy over seeds on the few real images, by model; None where none was asked about them."""
    found = {name: [row.real for row in rows.values() if row.real] for name, rows in models.items()}
    asked = [one for of_model in found.values() for one in of_model]
    if not asked:
        return None
    return {
        "n_sources": max(one.n_sources for one in asked),
        "n_questions": max(one.n + one.unscored for one in asked),
        "n_unscored": sum(one.unscored for one in asked),
        "models": {
            name: {
                "n_seeds": len(of_model),
                "value": _mean(one.accuracy for one in of_model if one.accuracy is not None),
            }
            for name, of_model in found.items()
        },
    }


def _at(rows: Sequence[ArmRound], number: int) -> dict[int, ArmRound]:
    """The row of each seed after a round; 0 is the base model."""
    return {row.seed: row for row in rows if row.round == number}


def _last(rows: Sequence[ArmRound]) -> dict[int, ArmRound]:
    """The row of each seed after its last round."""
    found: dict[int, ArmRound] = {}
    for row in sorted(rows, key=lambda row: row.round):
        found[row.seed] = row
    return dict(sorted(found.items()))


def _values(rows: BySeed, take: Callable[[ArmRound], float | None]) -> dict[int, float]:
    """A figure by seed, of the seeds that have it."""
    return {seed: value for seed, row in rows.items() if (value := take(row)) is not None}


def _mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return sum(listed) / len(listed) if listed else None
