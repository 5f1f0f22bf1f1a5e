"""How a finished demo did on what its base model never saw, and on the rest: a study on phantoms.

    python -m benchmarks.left_out OUT

OUT is the folder of `medq demo`, with `answers.jsonl` and `report.json` in it and the study beside them. One JSON object goes to
standard output: for each arm and round the test accuracy of all items, of the left-out cells and of the others, and what share
of the drawn images shows a left-out cell.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from shared.rows.encoding import from_lines
from shared.rows.evaluation import Answer

Cell = tuple[str, str]


def accuracies(answers: Sequence[Answer], left_out: frozenset[Cell]) -> dict[str, float | None]:
    """Right answers of all, over all answers, over those about the left-out cells, and over the others."""

    def share(wanted: Callable[[Answer], bool]) -> float | None:
        right = [answer.correct is True for answer in answers if wanted(answer)]
        return round(sum(right) / len(right), 4) if right else None

    def is_left_out(answer: Answer) -> bool:
        return (answer.modality, answer.attribute) in left_out

    return {
        "overall": share(lambda answer: True),
        "left_out": share(is_left_out),
        "known": share(lambda answer: not is_left_out(answer)),
    }


def drawn(selection: dict[str, Any] | None, left_out: frozenset[Cell]) -> dict[str, float] | None:
    """The share of left-out cells in a draw and in the pool, from the report's block `richness`; None without one."""
    if selection is None or not selection["richness"]:
        return None
    names = {f"modality:{modality}+attribute:{attribute}" for modality, attribute in left_out}
    rows = [row for row in selection["richness"]["cells"] if row["cell"] in names]
    return {key: round(sum(row[key] for row in rows), 4) for key in ("drawn_share", "pool_share")}


def figures(folder: Path) -> dict[str, Any]:
    """The object that is written, of a finished demo."""
    study = json.loads((folder / "study" / "study.json").read_text(encoding="utf-8"))
    left_out = frozenset((modality, attribute) for modality, attribute in study["left_out"])
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    with (folder / "answers.jsonl").open("rb") as lines:
        answers = [answer for answer in from_lines(lines, Answer, "answers.jsonl") if answer.split == "test"]
    return {
        f"{name}, round {one['round']}": {
            **accuracies([row for row in answers if (row.arm, row.round) == (name, one["round"])], left_out),
            "draw": drawn(one["selection"], left_out),
        }
        for name, arm in report["arms"].items()
        for one in arm["rounds"]
    }


def main() -> None:
    """Read the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="OUT")
    sys.stdout.write(json.dumps(figures(parser.parse_args().folder), indent=1) + "\n")


if __name__ == "__main__":
    main()
