"""A slice of `make fuzz`: the first requests and files of seed 0, and what the judge itself holds for wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.__main__ import run_requests
from tests.fuzz.aftermath import is_bare_picture
from tests.fuzz.file_child import KINDS, case, outcome_of
from tests.fuzz.file_round import read_files
from tests.fuzz.limits import MARKER
from tests.fuzz.picture_seeds import dicom_seeds, jpeg_seeds, png_seeds, tiff_seeds
from tests.fuzz.requests import HEAVY
from tests.fuzz.services import Services
from tests.fuzz.texts import YAML_SEED, benchmark_seeds, replies_seeds
from tests.fuzz.volumes import nifti_seeds
from tests.support.pictures import picture, png

N_REQUESTS, N_FILES = 300, 280


@pytest.mark.timeout(240)
def test_no_request_ends_in_what_is_our_fault():
    assert run_requests(0, range(N_REQUESTS), "sqlite", lambda done: None, HEAVY).findings == []


def test_no_file_ends_in_what_is_our_fault():
    assert read_files(0, range(N_FILES), lambda done: None).findings == []


def test_a_case_is_decided_by_seed_and_number():
    assert [case(1, number) for number in range(len(KINDS))] == [case(1, number) for number in range(len(KINDS))]
    assert case(1, 0) != case(2, 0)


@pytest.mark.parametrize("data", [*png_seeds(), *tiff_seeds(), *jpeg_seeds(), *dicom_seeds(), *nifti_seeds()])
def test_what_pictures_are_made_of_is_accepted(data: bytes, tmp_path: Path):
    assert outcome_of("png", data, tmp_path) == ("accepted", "")


@pytest.mark.parametrize(
    ("kind", "data"),
    [("benchmark", benchmark_seeds()[0]), ("replies", replies_seeds()[0]), ("yaml", YAML_SEED.encode())],
)
def test_what_texts_are_made_of_is_accepted(kind: str, data: bytes, tmp_path: Path):
    assert outcome_of(kind, data, tmp_path) == ("accepted", "")


def test_a_picture_that_holds_a_text_is_not_bare(tmp_path: Path):
    bare = png(picture(1))
    end = bare.index(b"IEND") - 4
    (tmp_path / "bare").write_bytes(bare)
    (tmp_path / "telling").write_bytes(bare[:end] + b"\0\0\0\1tEXtx\0\0\0\0" + bare[end:])
    (tmp_path / "small").write_bytes(png(np.zeros((4, 4), dtype=np.uint8)))
    (tmp_path / "none").write_text(MARKER)
    assert [is_bare_picture(tmp_path / name) for name in ("bare", "telling", "small", "none")] == [
        True,
        False,
        False,
        False,
    ]


def test_what_was_not_foreseen_is_read_from_the_log(tmp_path: Path):
    lines = [
        '{"event": "serving"}',
        "ERROR grpc._server (_server:636)",
        "  grpc._server:608 in _call_behavior",
        "builtins.NotImplementedError",
        '{"event": "call_failed", "method": "/a.B/C", "exception": "builtins.KeyError"}',
        "a line of a program",
        "ERROR grpc._server (_server:636)",
        "builtins.ValueError",
    ]
    (tmp_path / "services.log").write_text("\n".join(lines))
    found = Services(None, tmp_path / "services.log", {}).complaints()
    assert [entry["event"] for entry in found] == ["call_failed", "error of a library"]
    assert "ValueError" in found[1]["exception"]
