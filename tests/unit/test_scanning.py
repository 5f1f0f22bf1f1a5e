"""The scan for planted identifiers finds them wherever they hide; else that it finds none would say nothing."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import pytest

from tests.support.planted import MARKERS, plant_manifest, plant_pictures, plant_questions
from tests.support.scanning import Scanner

NAME = "Zyxmarker^Quendolyn"


def zipped(data: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside", data)
    return target.getvalue()


def parquet(data: bytes) -> bytes:
    target = io.BytesIO()
    pd.DataFrame({"a": [data] * 50, "b": [data.decode()] * 50}).to_parquet(target)
    return target.getvalue()


@pytest.mark.parametrize(
    "hidden",
    [
        NAME.encode(),
        NAME.lower().encode(),
        NAME.encode("utf-16"),
        NAME.encode("utf-16-be"),
        NAME.encode().hex().encode(),
        quote(NAME).encode(),
        *(base64.b64encode(b"x" * shift + NAME.encode() + b"yy") for shift in range(3)),
        *(hashlib.new(name, NAME.encode()).hexdigest().encode() for name in ("md5", "sha1", "sha256")),
        hashlib.sha256(NAME.encode()).digest(),
        gzip.compress(NAME.encode(), mtime=0),
        zipped(NAME.encode()),
        parquet(NAME.encode()),
    ],
)
def test_a_marker_is_found_in_every_form(hidden: bytes) -> None:
    assert {found.marker for found in Scanner({"name": NAME}).look("here", hidden)} == {"name"}


def test_a_marker_over_two_pages_of_a_database_is_found(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as database:
        database.execute("CREATE TABLE t (v TEXT)")
        for length in range(4000, 4100, 5):
            database.execute("INSERT INTO t VALUES (?)", ("x" * length + NAME,))
        database.commit()
    assert Scanner({"name": NAME}).look_through(tmp_path)


def test_every_planted_marker_is_found_where_it_was_planted(tmp_path: Path) -> None:
    plant_pictures(tmp_path / "pool")
    plant_manifest(tmp_path / "manifest.tsv", tmp_path / "pictures")
    plant_questions(tmp_path / "questions.tsv", tmp_path / "pictures")
    found = {one.marker for one in Scanner(MARKERS).look_through(tmp_path)}
    assert set(MARKERS) - found == {"a broken table"}


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Zyxmarker Quendolyn")
    assert Scanner(MARKERS).look_through(tmp_path) == set()
