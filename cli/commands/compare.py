"""`medq compare`: what several runs of one configuration gained, over their seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.commands.run import read_report
from cli.options import Json
from cli.output import interval_text, print_json, print_table, shown_errors
from shared.errors import InvalidArgument
from shared.statistics import t_interval

Report = dict[str, Any]
#: What seeds of one experiment may differ in.
_OWN_KEYS = ("name", "seed")
_BASE = {"value": 0.0}  # the base model over itself


def compare(
    reports: Annotated[
        list[Path],
        typer.Argument(exists=True, metavar="REPORT...", help="A report.json, or the folder of a run, of each seed."),
    ],
    is_json: Json = False,
) -> None:
    """Compare runs of one configuration under several seeds: the mean gain on test, with Student's t interval over seeds."""
    with shown_errors(is_json):
        read = [read_report(path / "report.json" if path.is_dir() else path) for path in reports]
        summary = summarised(read)
        if is_json:
            print_json(summary)
        else:
            _show(summary)


def summarised(reports: Sequence[Report]) -> dict[str, Any]:
    """The mean of each gain over the seeds, each seed one value.

    Args:
        reports: At least two `report.json` of one configuration and different seeds.

    Returns: `seeds`; `gains`: per arm and round (and for what came out of the arm, round "promoted") over the base model;
        `comparisons`: per pair of arms and round. Each has `mean` with `n`, the seeds that it stands on.
    Raises: InvalidArgument: there are fewer than two, configurations differ in `field`, or a seed is there twice.
    """
    _check(reports)
    gains: dict[tuple[str, str], list[float]] = {}
    against: dict[tuple[str, str, int], list[float]] = {}
    for report in reports:
        for place, gain in _gains(report):
            gains.setdefault(place, []).append(gain)
        for one in report["comparisons"]:
            if one["gain"]["value"] is not None:
                against.setdefault((one["arm"], one["other"], one["round"]), []).append(one["gain"]["value"])
    return {
        "seeds": [report["config"]["seed"] for report in reports],
        "gains": [
            {"arm": arm, "round": number, "mean": asdict(t_interval(values))}
            for (arm, number), values in sorted(gains.items())
        ],
        "comparisons": [
            {"arm": arm, "other": other, "round": number, "mean": asdict(t_interval(values))}
            for (arm, other, number), values in sorted(against.items())
        ],
    }


def _gains(report: Report) -> Iterator[tuple[tuple[str, str], float]]:
    """Arm and round to the gain on test over the base model."""
    for name, arm in report["arms"].items():
        over_base = {
            facts["round"]: (facts["test_gain"]["over_base"] if facts["round"] else _BASE)["value"]
            for facts in arm["rounds"]
            if facts["test_gain"] or not facts["round"]
        }
        for number, gain in over_base.items():
            if number and gain is not None:
                yield (name, str(number)), gain
        promoted = arm["promoted"] and over_base.get(arm["promoted"]["round"])
        if promoted is not None:
            yield (name, "promoted"), promoted


def _check(reports: Sequence[Report]) -> None:
    if len(reports) < 2:
        remedy = "Name the reports of two or more seeds; `medq report` shows one."
        raise InvalidArgument("One report has no seeds to compare.", field="reports", value=len(reports), remedy=remedy)
    first = _settings(reports[0])
    for report in reports[1:]:
        other = _settings(report)
        different = sorted(key for key in first.keys() | other.keys() if first.get(key) != other.get(key))
        if different:
            raise InvalidArgument(
                "The reports are of different configurations.",
                field=different[0],
                value=f"{first.get(different[0])} and {other.get(different[0])}",
                remedy="Compare runs that differ in their seed alone.",
            )
    seeds = [report["config"]["seed"] for report in reports]
    twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if twice:
        remedy = "The same seed again is no new evidence: leave one of them out."
        raise InvalidArgument("Two reports have the same seed.", field="seed", value=twice[0], remedy=remedy)


def _settings(report: Report) -> dict[str, Any]:
    """The settings by dotted key, without what seeds may differ in."""
    flat: dict[str, Any] = {}

    def add(prefix: str, value: Any) -> None:
        if isinstance(value, list) and any(isinstance(own, dict) for own in value):  # the arms
            value = {str(place): own for place, own in enumerate(value)}
        if isinstance(value, dict):
            for key, own in value.items():
                add(f"{prefix}.{key}" if prefix else key, own)
        else:
            flat[prefix] = value

    add("", {key: value for key, value in report["config"].items() if key not in _OWN_KEYS})
    return flat


def _show(summary: dict[str, Any]) -> None:
    seeds = ", ".join(str(seed) for seed in summary["seeds"])
    rows = [(one["arm"], one["round"], one["mean"]["n"], interval_text(one["mean"], "+")) for one in summary["gains"]]
    print_table(
        f"Gain on test over the base model, seeds {seeds} [95 % t interval]", ("arm", "round", "seeds", "mean"), rows
    )
    against = [
        (one["arm"], one["other"], one["round"], one["mean"]["n"], interval_text(one["mean"], "+"))
        for one in summary["comparisons"]
    ]
    if against:
        print_table("Arm against arm on test", ("arm", "against", "round", "seeds", "mean difference"), against)
