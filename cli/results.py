"""The result of a run in a terminal: which model comes out, what was gained, what was lost, and where the report is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import convert

from cli.left_out import show_losses
from cli.output import (
    GRADE_COLUMNS,
    console,
    coverage_text,
    grade_cells,
    interval_text,
    print_few_sources,
    print_table,
    score_text,
)
from shared.pages.further_tests import models_of
from shared.rows.evaluation import Description, Score
from shared.stop_reasons import told

Json = dict[str, Any]


def show_result(report: Json, out: Path) -> None:
    """Tell a person what a report says, the result first.

    Args:
        report: `report.json`.
        out: Its folder.
    """
    if text := report.get("result", {}).get("text"):
        console.print(text, soft_wrap=True)
    for name, arm in sorted(report["arms"].items()):
        for line in _end_of(report, name, arm):
            console.print(line, soft_wrap=True)
    _show_scores(report)
    _show_descriptions(report)
    _show_gains(report)
    _show_further_tests(report)
    print_few_sources(_scores(report))
    if n := n_unscored(report):
        console.print(
            f"UNSCORED: {n} answers could not be evaluated. That is not the model's doing, and no figure counts them. "
            "The report names each with its reason.",
            soft_wrap=True,
        )
    if not report.get("config", {}).get("data", {}).get("dev_guarded", True):
        console.print("Dev was not checked against test: they may share patients, and gains on test may flatter.")
    if line := _unstated(report):
        console.print(line, soft_wrap=True)
    show_losses(report, out)
    for part in report.get("simulated", []):
        console.print(f"Simulated: {part['text']}", soft_wrap=True)
    for one in report.get("annotators", []):
        if one["name"] != "simulated":
            console.print(one["text"], soft_wrap=True)
    console.print(f"Report: {out / 'report.html'}", soft_wrap=True)


def _unstated(report: Json) -> str:
    """What counts in the ledger at the most since the endpoint stated no usage; "" where it always did."""
    settled = report.get("measured", {}).get("ledger", {}).get("total", {}).get("settled", {})
    if not settled.get("n_usage_unstated"):
        return ""
    return (
        f"Of {settled['n_usage_unstated']} paid calls the endpoint did not state what was used. They count as the most that "
        f"they can have cost, together {settled['usd_usage_unstated']:.4f} US dollars: its bill may be lower by as much."
    )


def n_unscored(report: Json) -> int:
    """Answers and descriptions of all rounds that we could not evaluate."""
    described = sum(one.overall.unscored for _, _, _, one in _described(report))
    return described + sum(score.unscored for score in _scores(report))


def _scores(report: Json) -> list[Score]:
    rounds = [entry for arm in report["arms"].values() for entry in arm["rounds"]]
    scores = [_overall(entry, split) for entry in rounds for split in ("dev", "test")]
    return [score for score in scores if score is not None]


def _end_of(report: Json, name: str, arm: Json) -> Iterator[str]:
    """Which model comes out of an arm, what it gained, why the arm stopped, where its dev set could not tell a gain from none."""
    promoted = arm.get("promoted")
    if promoted:
        uri = report["measured"]["promoted_models"].get(name, "")
        yield f"{name}: best promoted model: round {promoted['round']} {uri}".rstrip()
        entry: Json = next((facts for facts in arm["rounds"] if facts["round"] == promoted["round"]), {})
        if score := _overall(entry, "test"):
            gain = entry.get("test_gain")
            over = f"; over the base model {interval_text(gain['over_base'], '+')}" if gain else ""
            yield f"  Accuracy on test {score_text(score)}{over}."
    yield f"{'  It' if promoted else name} stopped: {told(arm.get('stop_reason'))}."
    decided = [(facts["round"], facts["decision"]) for facts in arm["rounds"] if facts.get("decision")]
    unclear = [str(number) for number, decision in decided if decision["verdict"] == "unclear"]
    if unclear:
        yield f"  Round {', '.join(unclear)}: the dev set cannot tell whether anything was gained; it is too small."


def _show_scores(report: Json) -> None:
    rows = [
        (name, entry["round"], *_cells(entry, "test"), *_cells(entry, "dev"))
        for name, arm in sorted(report["arms"].items())
        for entry in arm["rounds"]
    ]
    columns = ("arm", "round", "test", "readable", "dev", "readable")
    print_table("Accuracy: right of all answers [95 % interval]", columns, rows)
    console.print("A reply in which no option can be read counts as wrong; readable is the share of the others.")


def _show_descriptions(report: Json) -> None:
    """The description columns of Table 1; nothing where nothing was described."""
    described = _described(report)
    if described:
        rows = [(name, number, split, *grade_cells(one)) for name, number, split, one in described]
        print_table("Descriptions: mean grades [95 % interval]", ("arm", "round", "split", *GRADE_COLUMNS), rows)
    for drift in report.get("judge_drift", []):
        console.print(
            f"{drift['arm']}, round {drift['round']}, {drift['split']}: {drift['text']} Scores of descriptions do not compare.",
            soft_wrap=True,
        )


def _described(report: Json) -> list[tuple[str, int, str, Description]]:
    rounds = [(name, entry) for name, arm in sorted(report["arms"].items()) for entry in arm["rounds"]]
    return [
        (name, entry["round"], split, convert(entry[split]["description"], Description))
        for name, entry in rounds
        for split in ("test", "dev")
        if (entry.get(split) or {}).get("description")
    ]


def _show_gains(report: Json) -> None:
    """What was gained on test, by round and by arm; nothing before the second round."""
    gained = [
        (name, entry["round"], interval_text(gain["over_base"], "+"), interval_text(gain["over_previous"], "+"))
        for name, arm in sorted(report["arms"].items())
        for entry in arm["rounds"]
        if (gain := entry.get("test_gain"))
    ]
    if gained:
        columns = ("arm", "round", "over the base model", "over the round before")
        print_table("Gain on test, same items [95 % interval]", columns, gained)
    against = [
        (one["arm"], one["other"], one["round"], interval_text(one["gain"], "+"))
        for one in report.get("comparisons", [])
    ]
    if against:
        print_table("Arm against arm on test [95 % interval]", ("arm", "against", "round", "difference"), against)


def _show_further_tests(report: Json) -> None:
    """The further tests, each for itself; nothing where the run has none."""
    rows = [
        (
            test["name"],
            (test["set"] or {}).get("n_sources", "-"),
            model,
            _right(facts),
            interval_text(facts["gain"], "+"),
        )
        for test in report.get("further_tests", [])
        for model, facts in models_of(test, report["arms"])
    ]
    if rows:
        columns = ("test", "sources", "model", "accuracy", "over the base model")
        print_table("Further tests, each for itself [95 % interval]", columns, rows)


def _right(facts: Json) -> str:
    return score_text(convert(facts["scores"]["perception"]["overall"], Score))


def _cells(entry: Json, split: str) -> tuple[str, str]:
    """Accuracy and coverage of a round on a split."""
    score = _overall(entry, split)
    return ("-", "-") if score is None else (score_text(score), coverage_text(score))


def _overall(entry: Json, split: str) -> Score | None:
    perception = (entry.get(split) or {}).get("perception")
    return convert(perception["overall"], Score) if perception else None
