"""Two tables of MedQ-Bench as one, by the program that the pages name."""

import subprocess
import sys
from pathlib import Path

from services.evaluation.adapters.benchmark_table import read_table
from services.evaluation.domain.benchmark import item_of
from shared.rows.benchmark import Item
from shared.rows.images import Image
from tests.support.rows import build

PROGRAM = Path(__file__).parents[2] / "examples" / "join_tables.py"
QUESTIONS = "index\timage\tquestion\tA\tB\tanswer\tmodality\n0\t{picture}\tSharp?\tYes\tNo\tB\tMRI\n"
DESCRIPTIONS = 'index\timage\tdescription\n0\t{picture}\t"Noisy ""and"" dark."\n'


def join(folder, *names):
    command = [sys.executable, PROGRAM, folder / "dev.tsv", *(folder / name for name in names)]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_joined_table_holds_the_items_of_both(tmp_path):
    picture = "A" * 300_000
    (tmp_path / "qa.tsv").write_text(QUESTIONS.format(picture=picture))
    (tmp_path / "described.tsv").write_text(DESCRIPTIONS.format(picture=picture))
    assert join(tmp_path, "qa.tsv", "described.tsv").stdout == "2 rows\n"
    items = [item_of(row.cells, build(Image), "dev") for row in read_table(tmp_path / "dev.tsv")]
    assert [isinstance(item, Item) and (item.item_id, item.question_type, item.answer) for item in items] == [
        ("qa/0", "yes_no", "B"),
        ("described/0", "description", 'Noisy "and" dark.'),
    ]


def test_a_torn_row_and_a_table_that_is_there_are_refused(tmp_path):
    (tmp_path / "qa.tsv").write_text(QUESTIONS.format(picture="A") + "1\tA\n")
    assert "another number of fields" in join(tmp_path, "qa.tsv").stderr
    assert "FileExistsError" in join(tmp_path, "qa.tsv").stderr
