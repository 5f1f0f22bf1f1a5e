"""Who a picture shows is in no store, no log, no span, no metric, no answer and no output, in whatever form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.planted_world import Left, take_in_and_look
from tests.support.servers import short_folder

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def left(folder: Path) -> Left:
    return take_in_and_look(folder)


def test_no_planted_identifier_is_stored_printed_or_answered(left: Left) -> None:
    assert left.found == set()


def test_names_of_inputs_are_in_reports_and_in_the_tables_of_the_service_alone(left: Left) -> None:
    elsewhere = {
        place
        for place in left.named - left.reports
        if not place.startswith("state/embedding/embedding.sqlite") and not place.endswith("/report.jsonl")
    }
    assert elsewhere == set()
    assert left.named & left.reports


def test_a_reader_has_no_names_of_inputs(left: Left) -> None:
    assert {place.split("/")[1] for place in left.named if place.startswith("seen/")} == {
        "admin",
        "operator",
        "service",
    }


def test_what_was_looked_through_was_there(left: Left, folder: Path) -> None:
    assert all((folder / "seen" / name).stat().st_size > 1000 for name in ("answers", "metrics", "spans", "stderr"))
    assert '"audit": true' in (folder / "seen" / "stderr").read_text(encoding="utf-8")
    assert len(list((folder / "state" / "objects" / "objects").rglob("*"))) > 20
    assert (folder / "seen" / "reader").is_dir()
