"""The page of an experiment: one HTML file that needs nothing beside it, made from `experiment.json` and nothing else."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment

from shared.pages.environment import page_environment
from shared.synced import put_in_place
from shared.version import VERSION
from studies.experiment.blocks import OURS, RANDOM
from studies.experiment.figures import axis_figure, budget_figure, budget_rows, rounds_figure
from studies.experiment.sentence import headline, remarks

Json = dict[str, Any]
#: Table 2 of the paper: what is taken out, and the arm without it.
ABLATION = (
    ("without human-in-the-loop", "no_human_in_the_loop"),
    ("without capability-driven questions", "no_capability_driven_questions"),
    ("without adaptive sampling", "no_adaptive_sampling"),
    ("without quality assurance", "no_quality_assurance"),
    ("random drawing", RANDOM),
)


def write_page(out: Path, summary: Json) -> None:
    """Write `experiment.html`."""
    partial = out / "experiment.html.partial"
    partial.write_text(render(summary), encoding="utf-8")
    put_in_place(partial, out / "experiment.html")


def render(summary: Json) -> str:
    """The page."""
    primary = next((pool for pool in summary["pools"] if pool["is_primary"]), None)
    arms = {arm["name"]: arm for arm in primary["arms"]} if primary else {}
    return _environment().get_template("experiment.html").render(
        summary=summary,
        sentence=headline(summary),
        primary=primary,
        ours=arms.get(OURS),
        ratio=next(iter(primary["ratios"]), None) if primary else None,
        figure=budget_figure(primary) if primary else "",
        rows=budget_rows(primary) if primary else [],
        rounds=rounds_figure(primary) if primary else "",
        scaling=_scaling(primary) if primary and summary["experiment"] == "scaling" else [],
        ablation=[(words, arms[name]) for words, name in ABLATION if name in arms] if summary["experiment"] == "ablation" else [],
        version=VERSION,
    )  # fmt: skip


def _scaling(pool: Json) -> list[Json]:
    """Figure 3 of the paper in miniature: by severity and by scope, of both strategies."""
    figures = [
        {"axis": axis, "strategy": strategy, "svg": axis_figure(pool, axis, strategy)}
        for axis in ("severity", "scope")
        for strategy in (OURS, RANDOM)
    ]
    return [figure for figure in figures if figure["svg"]]


@cache
def _environment() -> Environment:
    environment = page_environment("studies.experiment")
    environment.filters.update(remarks=remarks)
    return environment
