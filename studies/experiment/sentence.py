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


def shortfalls(pool: Json) -> str:
    """Which arms drew fewer images than they were asked for, in which seeds; "" where none did."""
    told = [
        f"{label(arm['name'])}, seed {one['seed']} ({count(one['n_images'])} of {count(one['n_asked'])})"
        for arm in pool["arms"]
        for one in arm["short"]
    ]
    return f"Drew fewer images than asked, over all rounds: {'; '.join(told)}." if told else ""


def on_real(pool: Json) -> str:
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
