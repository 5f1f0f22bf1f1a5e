"""The result of an experiment in a terminal: one sentence, a table for each pool, the ratios."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cli.output import console, interval_text, print_table
from shared.pages.words import percent
from studies.experiment.blocks import RANDOM
from studies.experiment.sentence import headline, remarks

Json = dict[str, Any]
_COLUMNS = ("arm", "images", "seeds", "overall [95 %]", "minus its reference [95 %]")
#: Where the terminal is wide; the page has them in any case.
_MORE_COLUMNS = ("known", "weak", "left out", "pool mix", "left-out drawn", "labels wrong", "expert")
_WIDE = 140


def show_summary(summary: Json, out: Path) -> None:
    """Tell a person what an experiment showed.

    Args:
        summary: As `studies.experiment.summary.summarise` makes it.
        out: The folder that holds it.
    """
    for pool in summary["pools"]:
        told = "" if pool["enrichment"] is None else f", enrichment {pool['enrichment']:.1f}"
        is_wide = console.width >= _WIDE
        columns = (*_COLUMNS, *(_MORE_COLUMNS if is_wide else ()))
        title = f"{summary['experiment']}, {pool['mix']}{told}: accuracy on test after the last round"
        print_table(title, columns, [row[: len(columns)] for row in _rows(pool)])
        console.print(f"The reference is {RANDOM} where an arm's name says no other; images are those of a round.")
        for remark in remarks(pool):
            console.print(remark, soft_wrap=True)
    for line, n in summary["losses"].items():
        console.print(f"{line} ({n} times)" if n > 1 else line, soft_wrap=True)
    console.print(headline(summary), soft_wrap=True)
    console.print(f"Page: {out / 'experiment.html'}", soft_wrap=True)


def _rows(pool: Json) -> list[tuple[object, ...]]:
    base = pool["base"]
    first = ("base model", "-", base["overall"]["n"], interval_text(base["overall"]), "-")
    return [(*first, *_shares(base), "-", "-", "-"), *map(_row, pool["arms"])]


def _row(arm: Json) -> tuple[object, ...]:
    over = arm["over_against"]["overall"] if arm["over_against"] else None
    drawn = (percent(arm["draw"][name]) for name in ("left_out", "wrong", "expert"))
    first = (arm["name"], arm["budget"], arm["n_seeds"], interval_text(arm["accuracy"]["overall"]))
    return (*first, interval_text(over, "+"), *_shares(arm["accuracy"]), *drawn)


def _shares(accuracy: Json) -> tuple[str, ...]:
    return tuple(percent(accuracy[name]["value"]) for name in ("known", "weak", "left_out", "pool_mix"))
