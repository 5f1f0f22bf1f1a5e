"""What `medq score` makes of a table and of what the service answers."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.commands.score import summarised
from cli.main import app
from medq.evaluation.v1 import evaluation_pb2 as pb

TABLE = (
    "index\tquestion\tA\tB\tC\tanswer\tprediction\n"
    "1\tWhat?\tNoise\tMotion\tRing\tB\tThe answer is B.\n"
    "2\tWhat?\tNoise\tMotion\tRing\tC\tI cannot tell.\n"
    "3\tWhat?\tNoise\tMotion\tRing\tA\tNoise\n"
    "4\tWhat?\tNoise\tMotion\tRing\tBlur\tB\n"
    "5\tWhat?\tNoise\t\t\tA\tA\n"
    "6\tWhat?\tNoise\n"
    "7\tWhat?\tNoise\tMotion\tRing\tB\tB\tmore\n"
)


def test_a_scored_copy_stands_beside_the_table(tmp_path: Path) -> None:
    file = tmp_path / "replies.tsv"
    file.write_text(TABLE, encoding="utf-8")
    command = [sys.executable, "-m", "cli.main", "score", str(file), "--json"]
    ended = subprocess.run(command, check=False, capture_output=True, timeout=120)
    assert ended.returncode == 3  # a part could not be scored
    told = json.loads(ended.stdout)
    assert told["n"] == 3
    assert told["strict"] == {"accuracy": 2 / 3, "accuracy_of_readable": 1.0, "coverage": 2 / 3}
    assert told["not_scored"].keys() >= {"the row has 3 of 7 fields", "the row has 8 fields, the header has 7"}
    with (tmp_path / "replies.scored.tsv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    added = ("official_choice", "official_correct", "strict_choice", "strict_correct")
    assert [tuple(row[name] for name in added) for row in rows] == [
        ("B", "1", "B", "1"),
        ("UNSCORED", "0", "UNSCORED", "UNSCORED"),
        ("UNSCORED", "0", "A", "1"),
        *[("UNSCORED",) * 4] * 4,
    ]
    assert rows[0]["prediction"] == "The answer is B."


def test_shares_are_over_all_that_can_be_scored_and_over_the_readable() -> None:
    summary = summarised(
        [
            pb.ScoredReply(answer="A", official_choice="A", strict_choice="A"),
            pb.ScoredReply(answer="A", official_choice="B", strict_choice=""),
            pb.ScoredReply(answer="B", official_choice="", strict_choice="B"),
            pb.ScoredReply(answer="B", official_choice="A", strict_choice="A"),
            pb.ScoredReply(refusal="fewer than two options"),
        ]
    )
    assert summary == {
        "n": 4,
        "not_scored": {"fewer than two options": 1},
        "official": {"accuracy": 1 / 4, "accuracy_of_readable": 1 / 3, "coverage": 3 / 4},
        "strict": {"accuracy": 2 / 4, "accuracy_of_readable": 2 / 3, "coverage": 3 / 4},
        "disagree": 2 / 4,
    }


def test_quoted_cells_a_byte_order_mark_and_an_option_e_are_read(tmp_path: Path) -> None:
    file, out = tmp_path / "replies.csv", tmp_path / "scored" / "copy.csv"
    rows = (
        "\ufeffindex,question,A,B,C,D,E,answer,prediction\n"
        '1,"Which, of these?",Noise,"Motion, severe",Ring,None,Blur,E,"The answer is ""E""."\n'
        '2,q,Yes,No,,,,1,"Line one.\nNo"\n'
        "3,q,Yes,No,,,,A,\n"
    )
    file.write_text(rows, encoding="utf-8")
    ended = CliRunner().invoke(app, ["score", str(file), "--out", str(out)])
    assert ended.exit_code == 0  # an empty prediction is scored: it is wrong
    with out.open(encoding="utf-8", newline="") as lines:
        scored = list(csv.DictReader(lines))
    assert [(row["official_choice"], row["official_correct"]) for row in scored] == [
        ("E", "1"),
        *[("UNSCORED", "0")] * 2,
    ]
    assert [(row["strict_choice"], row["strict_correct"]) for row in scored] == [
        ("E", "1"),
        ("B", "1"),
        ("UNSCORED",) * 2,
    ]


def test_official_accuracy_of_a_hundred_unreadable_replies_is_zero() -> None:
    summary = summarised([pb.ScoredReply(answer="A", strict_choice="A")] * 100)
    assert summary["official"] == {"accuracy": 0.0, "accuracy_of_readable": None, "coverage": 0.0}


def test_shares_of_nothing_are_none() -> None:
    assert summarised([])["strict"] == {"accuracy": None, "accuracy_of_readable": None, "coverage": None}


@pytest.mark.parametrize(
    "text",
    [
        "index\tquestion\tA\tB\tanswer\n",
        "\xff",
        "",
        TABLE + '6\t"open\tA\tB\tC\tA\tx\n',
        TABLE.replace("C\t", "A\t", 1),
    ],
)
def test_a_table_that_cannot_be_used_is_wrong_input(tmp_path: Path, text: str) -> None:
    file = tmp_path / "replies.tsv"
    file.write_text(text, encoding="latin-1")
    ended = CliRunner().invoke(app, ["score", str(file)])
    assert ended.exit_code == 2
    assert not list(tmp_path.glob("*.scored.tsv"))
