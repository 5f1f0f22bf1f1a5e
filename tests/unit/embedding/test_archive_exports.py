"""What an archive (PACS) exports: no suffixes, a DICOMDIR, nested names, and files that are no images; each has a row."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest
from pydicom.uid import RLELossless

from shared.left_out import LeftOut, facts_of
from shared.rows.images import DICOMDIR, OTHER_FILE, STRUCTURED_REPORT, Image, Input
from tests.support.databases import sqlite_database
from tests.support.ingesting import Ingesting
from tests.support.pictures import cine, dicom, picture

_DEEP = np.stack([picture(seed).astype(np.uint16) * 16 for seed in range(30, 38)])
#: Names as devices write them, and files of pydicom in their places.
_NESTED = {
    "DICOM/PAT0/ST0/SE0/IM0": "MR_small.dcm",
    "DICOM/PAT0/ST0/SE0/IM1": "MR_small_jp2klossless.dcm",  # the same picture, compressed
    "DICOM/PAT0/ST0/SE1/IM0": "SC_rgb_rle_2frame.dcm",
    "DICOM/PAT0/ST0/SE2/SR0": "reportsi.dcm",
    "DICOM/PAT0/ST0/SE3/RT0": "rtplan.dcm",
    "DICOM/PAT0/ST0/SE4/IM0": "JPGExtended.dcm",  # 12 bits, which nothing here decodes
}
#: Does not say whether text is burned in.
_SILENT = "DICOM/PAT0/ST0/SE1/IM0"
_BESIDE = {
    "VERSION": b"EXPORT 7.1\n",
    "AUTORUN.INF": b"[autorun]\r\n",
    "VIEWER/view.exe": b"MZ\x90\0",
    "EMPTY": b"",
    ".DS_Store": b"x",
}


def shipped(name: str) -> pydicom.Dataset:
    return pydicom.dcmread(str(pydicom.data.get_testdata_file(name, download=False)))


def bytes_of(dataset: pydicom.Dataset) -> bytes:
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


def made() -> dict[str, bytes]:
    """Two pictures and two films of one patient and study, one of each compressed."""
    made = {}
    for number, data in enumerate((dicom(_DEEP[0]), dicom(_DEEP[1]), cine(_DEEP[2:5]), cine(_DEEP[5:8]))):
        dataset = pydicom.dcmread(io.BytesIO(data))
        if number % 2:
            dataset.compress(RLELossless)
        made[f"PT000000/ST000000/SE00000{number}/IM000000"] = bytes_of(dataset)
    return made


def write_export(folder: Path) -> Path:
    """An export with its index, names without suffixes, and what lies beside the images."""
    index = Path(str(pydicom.data.get_testdata_file("DICOMDIR", download=False))).read_bytes()
    for name, content in {"DICOMDIR": index, **made(), **_BESIDE}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    for name, source in _NESTED.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset = shipped(source)
        if name != _SILENT:
            dataset.BurnedInAnnotation = "NO"
        path.write_bytes(bytes_of(dataset))
    return folder


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Image], list[Input]]]:
    folder, state = tmp_path_factory.mktemp("export"), tmp_path_factory.mktemp("state")
    with sqlite_database(state) as database:
        service = Ingesting(state, database)
        try:
            yield service.take_in(write_export(folder / "disc"))
        finally:
            service.close()


def test_every_image_of_an_export_is_found_by_its_content(taken: tuple[list[Image], list[Input]]) -> None:
    images, report = taken
    films = [row.name for row in report if "#frame-" in row.name and row.status == "stored"]
    singles = [row.name for row in report if "#frame-" not in row.name and row.status == "stored"]
    assert len(singles) == 3  # plain and compressed of the index, and one of the nested
    assert sorted(Counter(name.split("#")[0] for name in films).values()) == [3, 3]
    assert len(images) == 9
    assert not any(Path(name.split("#")[0]).suffix for name in (*films, *singles))


def test_a_compressed_copy_is_the_same_picture(taken: tuple[list[Image], list[Input]]) -> None:
    (again,) = [row for row in taken[1] if row.status == "duplicate"]
    assert (again.name, again.reason) == ("DICOM/PAT0/ST0/SE0/IM1", OTHER_FILE)


def test_every_file_has_a_row_and_what_is_no_image_says_why(taken: tuple[list[Image], list[Input]]) -> None:
    reasons = {row.name: (row.status, row.reason) for row in taken[1] if row.status in ("failed", "quarantined")}
    assert reasons.pop("DICOMDIR") == ("failed", DICOMDIR)
    assert reasons.pop("DICOM/PAT0/ST0/SE2/SR0") == ("failed", STRUCTURED_REPORT)
    assert {name: status for name, (status, _) in reasons.items()} == {
        _SILENT: "quarantined",
        **dict.fromkeys(["DICOM/PAT0/ST0/SE3/RT0", "DICOM/PAT0/ST0/SE4/IM0", *_BESIDE], "failed"),
    }
    assert all(row.remedy for row in taken[1] if row.status in ("failed", "quarantined"))


def test_what_is_left_out_is_counted_by_reason(taken: tuple[list[Image], list[Input]]) -> None:
    facts = facts_of("pool", "images", taken[1])
    assert facts.n == len(taken[1]) - 3  # without index, report and hidden file
    told = Counter({one.reason: one.n for one in facts.left_out})
    assert told.total() == sum(row.status != "stored" for row in taken[1]) == 11
    assert {one.outcome: one.n for one in facts.left_out if one.outcome in ("no_image", "hidden", "duplicate")} == {
        "no_image": 1, "hidden": 1, "duplicate": 1,
    }  # fmt: skip
    assert LeftOut("no_image", DICOMDIR, "Nothing is lost: they are read.", 1) in facts.left_out
    assert facts.lost == 7


def test_images_of_one_patient_and_study_are_of_one_source(taken: tuple[list[Image], list[Input]]) -> None:
    images, report = taken
    by_id = {image.image_id: image for image in images}
    patients = {by_id[row.image_id].patient for row in report if row.image_id and row.name.startswith("PT")}
    assert len(patients) == 1
    assert "" not in patients
