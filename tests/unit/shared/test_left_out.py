import json
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace

from shared.folders import HIDDEN
from shared.left_out import (
    DUPLICATE,
    HIDDEN_FILE,
    MOST_REASONS,
    NO_IMAGE,
    OTHER_SPLIT,
    REJECTED,
    LeftOut,
    facts_of,
    is_lost,
    outcome_of,
)
from shared.rows.benchmark import Rejection
from shared.rows.images import DICOMDIR, OTHER_FILE, OTHER_PART, SAME_FILE, STRUCTURED_REPORT, Input
from tests.support.rows import build

NUMBERS = count()


def inputs(status, n, reason="", remedy=""):
    return [
        build(Input, status=status, reason=reason, remedy=remedy, image_path=f"{next(NUMBERS)}.png") for _ in range(n)
    ]


def rejection(reason, is_of_another_split=False):
    return build(Rejection, reason=reason, remedy="mend it", is_of_another_split=is_of_another_split)


def test_inputs_are_counted_by_outcome_and_reason():
    rows = [
        *inputs("stored", 6, "a remark"),
        *inputs("failed", 3, "no image", "save it again"),
        *inputs("duplicate", 1),
    ]
    rows += [replace(row, status="duplicate", reason=SAME_FILE) for row in rows[:5] * 2]  # rows that name a file again
    rows += rows[7:8]
    facts = facts_of("pool", "images", rows)
    assert facts.left_out == (
        LeftOut("failed", "no image", "save it again", 3),
        LeftOut("duplicate", OTHER_FILE, "", 1),
    )
    assert (facts.n, facts.lost, facts.lost_share) == (10, 3, 0.3)


def test_quarantined_is_lost_and_a_duplicate_is_not():
    assert [is_lost(row) for row in (*inputs("quarantined", 1), *inputs("failed", 1))] == [True, True]
    assert [is_lost(row) for row in (*inputs("duplicate", 1), *inputs("stored", 1))] == [False, False]


def test_each_image_of_a_file_counts_and_a_file_that_rows_name_again_does_not():
    frame = build(Input, image_path="heart.dcm", name="heart.dcm#frame-0001", status="stored")
    blank = replace(frame, name="heart.dcm#frame-0002", status="quarantined", reason="blank")
    same = replace(frame, name="heart.dcm#frame-0003", status="duplicate", reason=OTHER_PART)
    facts = facts_of("pool", "images", [frame, blank, same, replace(frame, status="duplicate", reason=SAME_FILE)])
    assert facts.left_out == (LeftOut("duplicate", OTHER_PART, "", 1), LeftOut("quarantined", "blank", "", 1))
    assert (facts.n, facts.lost) == (3, 1)


def test_rows_of_another_split_are_neither_lost_nor_counted():
    rows = [rejection("no answer"), rejection("other", True), rejection("other", True)]
    facts = facts_of("dev", "rows", rows, n_items=3)
    assert (facts.n, facts.lost, facts.lost_share) == (4, 1, 0.25)
    assert [(left.outcome, left.n, left.is_loss) for left in facts.left_out] == [
        ("other_split", 2, False), ("rejected", 1, True),
    ]  # fmt: skip


def test_hidden_files_are_told_and_are_neither_lost_nor_counted():
    facts = facts_of(
        "pool", "images", [*inputs("stored", 3), *inputs("failed", 1, "no image"), *inputs("failed", 9, HIDDEN)]
    )
    assert (facts.n, facts.lost, facts.lost_share) == (4, 1, 0.25)
    assert LeftOut("hidden", HIDDEN, "", 9) in facts.left_out
    (row,) = inputs("failed", 1, HIDDEN)
    assert (is_lost(row), outcome_of(row)) == (False, "hidden")


@pytest.mark.parametrize("reason", [DICOMDIR, STRUCTURED_REPORT])
def test_what_an_archive_writes_beside_images_is_told_and_is_neither_lost_nor_counted(reason):
    facts = facts_of("pool", "images", [*inputs("stored", 3), *inputs("failed", 9, reason)])
    assert (facts.n, facts.lost) == (3, 0)
    assert LeftOut("no_image", reason, "", 9) in facts.left_out
    (row,) = inputs("failed", 1, reason)
    assert (is_lost(row), outcome_of(row)) == (False, "no_image")


def test_the_schema_of_the_report_knows_every_outcome_of_a_set():
    schema = json.loads((Path(__file__).parents[3] / "docs" / "report.schema.json").read_text(encoding="utf-8"))
    entries = schema["$defs"]["losses"]["properties"]["entries"]["items"]
    known = set(entries["properties"]["outcome"]["enum"])
    assert {"failed", "quarantined", DUPLICATE, OTHER_SPLIT, REJECTED, HIDDEN_FILE, NO_IMAGE} <= known


def test_nothing_at_all_lost_no_share():
    assert facts_of("dev", "rows", []).lost_share == 0.0


def test_rare_reasons_are_counted_together():
    rows = [row for place in range(MOST_REASONS + 3) for row in inputs("failed", 20 - place, f"reason {place:02}")]
    facts = facts_of("pool", "images", rows)
    assert len(facts.left_out) == MOST_REASONS + 1
    assert facts.left_out[-1] == LeftOut("failed", "other reasons", "", 10 + 9 + 8)
    assert facts.lost == len(rows)
