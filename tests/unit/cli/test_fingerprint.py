"""The fingerprint changes with the files, whatever their names."""

from __future__ import annotations

import os
from pathlib import Path

from cli.fingerprint import fingerprint


def test_a_changed_file_is_another_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    before = fingerprint(tmp_path)
    assert fingerprint(tmp_path) == before
    (tmp_path / "a.png").write_bytes(b"xy")
    assert fingerprint(tmp_path) != before


def test_a_name_that_is_no_unicode_counts_too(tmp_path: Path) -> None:
    before = fingerprint(tmp_path)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")).write_bytes(b"x")
    assert fingerprint(tmp_path) != before


def test_a_changed_image_that_a_table_names_is_another_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"old")
    table = tmp_path / "items.tsv"
    table.write_text("index\timage_path\n0\ta.png\n1\tnot-there.png\n", encoding="utf-8")
    before = fingerprint(table)
    assert fingerprint(table) == before
    (tmp_path / "a.png").write_bytes(b"repaired")
    assert fingerprint(table) != before


def test_a_name_that_no_file_can_have_is_left_to_the_services(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text(f"image_path\n{'y' * 500}\n{'é' * 200}\nb\0\n{'a/' * 3000}b\n")
    assert fingerprint(table) == fingerprint(table)
