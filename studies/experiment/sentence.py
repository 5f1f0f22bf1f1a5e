"""What an experiment comes down to, in sentences."""

from __future__ import annotations

from typing import Any

from shared.pages.words import count, holds_zero, label, limits, percent, points
from studies.experiment.blocks import OURS

Json = dict[str, Any]
_ON = "on synthetic degradations, simulated oracle and expert"


def headline(summary: Json) -> str:
    """What was gained against random drawing, with its interval, and on what."""
    pool = next((one for one in summary["pools"] if one["is_primary"]), None)
    arm = next((one for one in pool["arms"] if one["name"] == OURS), None) if pool else None
    over = arm["over_against"]["overall"] if arm and arm["over_against"] else None
    if pool is None or over is None or over["value"] is None:
        return f"Nothing can be said yet against random drawing, {_ON}."
    where = f"{_ON}, at enrichment {pool['enrichment']:.1f}"
    seeds = f"over {over['n']} seed{'s' if over['n'] > 1 else ''}"
    gained = f"{points(over['value'])} points of accuracy against random drawing"
    if over["low"] is None:
        return f"{label(OURS).capitalize()}: {gained}, without an interval, {seeds}, {where}."
    unclear = ", not told apart from none" if holds_zero(over) else ""
    return f"{label(OURS).capitalize()}: {gained} {limits(over)}{unclear}, {seeds}, {where}."


def remarks(pool: Json) -> list[str]:
    """What the table of a pool has no place for, a sentence or two each."""
    ratios = [_ratio(one, pool["enrichment"]) for one in pool["ratios"]]
    return [line for line in (*ratios, _ends(pool), _shortfalls(pool), _on_real(pool)) if line]


def _ratio(ratio: Json, enrichment: float | None) -> str:
    seeds = f"{ratio['n']} seed{'s' if ratio['n'] != 1 else ''}"
    where = "" if enrichment is None else f", at enrichment {enrichment:.1f}"
    return f"Random drawing needs {ratio['text']} times the images of {label(ratio['ours'])}, {seeds}{where}."


def _ends(pool: Json) -> str:
    """Which arms ended before their last round, in how many seeds; "" where none did."""
    early = [f"{label(arm['name'])} ({arm['n_ended_early']})" for arm in pool["arms"] if arm["n_ended_early"]]
    return f"Ended before their last round, seeds in brackets: {', '.join(early)}." if early else ""


def _shortfalls(pool: Json) -> str:
    """Which arms drew fewer images than they were asked for, in which seeds; "" where none did."""
    told = [
        f"{label(arm['name'])}, seed {one['seed']} ({count(one['n_images'])} of {count(one['n_asked'])})"
        for arm in pool["arms"]
        for one in arm["short"]
    ]
    return f"Drew fewer images than asked, over all rounds: {'; '.join(told)}." if told else ""


def _on_real(pool: Json) -> str:
    """What the models of a pool answered about real images; "" where none was asked."""
    real = pool["real"]
    if real is None:
        return ""
    models = ", ".join(
        f"{label(name)} {percent(one['value'])} ({one['n_seeds']} seed{'s' if one['n_seeds'] != 1 else ''})"
        for name, one in real["models"].items()
    )
    unscored = f" {real['n_unscored']} answers are UNSCORED." if real["n_unscored"] else ""
    return (
        f"Right of {real['n_questions']} questions about real images of {real['n_sources']} sources, mean over seeds: {models}."
        f"{unscored} So few sources show that the model runs on real images, no more."
    )
