"""A table names one image of a file that holds several: exactly that one is read, and it is the same as a folder gives."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cli.fingerprint import fingerprint
from services.embedding.adapters.formats import read_images
from services.embedding.domain.images import StoredForm
from services.evaluation.domain.image_join import join_images
from shared.left_out import facts_of
from shared.rows.images import entry_of, part_of, spelled_out
from shared.tables import read_rows
from tests.support.databases import sqlite_database
from tests.support.ingesting import Ingesting
from tests.support.pictures import cine, dicom, nifti, picture, png

KEY = b"a key for tests only"
FRAMES = np.stack([picture(seed).astype(np.uint16) * 16 for seed in range(3)])
LONG = FRAMES[:1].repeat(100, axis=0) + np.arange(100, dtype=np.uint16)[:, None, None] * 7
NOBODY = {"PatientID": None, "StudyInstanceUID": None}
VOLUME = np.stack([picture(seed).astype(np.int16) for seed in range(50, 60)], axis=-1)
COLUMNS = "index\timage_path\tquestion\tA\tB\tanswer"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingesting]:
    state = tmp_path_factory.mktemp("state")
    with sqlite_database(state) as database:
        service = Ingesting(state, database, KEY)
        yield service
        service.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    (folder / "film.dcm").write_bytes(cine(FRAMES, **NOBODY))
    (folder / "long.dcm").write_bytes(cine(LONG, WindowCenter=2000, WindowWidth=4000, **NOBODY))
    (folder / "brain.nii.gz").write_bytes(gzip.compress(nifti(VOLUME, np.diag([1.0, 1.0, 3.0, 1.0]))))
    (folder / "one.dcm").write_bytes(dicom(FRAMES[0]))
    (folder / "plain.png").write_bytes(png(picture(9)))
    return folder


def table(folder: Path, name: str, *paths: str) -> Path:
    """A table of questions, one about each of these paths."""
    rows = [f"{at}\t{path}\tIs it sharp?\tYes\tNo\tA" for at, path in enumerate(paths, start=1)]
    place = folder.parent / f"{folder.name} {name}.tsv"
    place.write_text("\n".join([COLUMNS, *rows]) + "\n", encoding="utf-8")
    return place


def in_folder(folder: Path, *parts: str) -> list[str]:
    return [f"{folder.name}/{part}" for part in parts]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("film.dcm#frame-0003", "#frame-0003"), ("a/b.nii.gz#slice-0042", "#slice-0042"), ("IM1#frame-12345", "#frame-12345"),
        ("film.dcm", ""), ("film.dcm#frame-3", ""), ("film.dcm#page-0003", ""), ("film#frame-0003.dcm", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_part_stands_behind_the_name_of_its_file_with_four_digits_or_more(name: str, part: str) -> None:
    assert (part_of(name), entry_of(name)) == (part, name.removesuffix(part))


@pytest.mark.parametrize(
    ("written", "meant"),
    [("a.dcm#frame-7", "a.dcm#frame-0007"), ("a#slice-00042", "a#slice-0042"), ("a#frame-12345", "a#frame-12345")],
)
def test_a_table_may_write_the_number_of_a_part_in_other_digits(written: str, meant: str) -> None:
    assert spelled_out(written) == spelled_out(meant) == meant
    assert spelled_out("a.dcm") == "a.dcm"


def test_a_named_part_is_the_image_that_a_folder_gives_under_this_name(service: Ingesting, folder: Path) -> None:
    whole, of_folder = service.take_in(folder)
    by_name = {row.name: row.image_id for row in of_folder if row.image_id}
    named = [
        "film.dcm#frame-0003",
        "film.dcm#frame-0001",
        "long.dcm#frame-0005",
        "brain.nii.gz#slice-0005",
        "plain.png",
    ]
    images, report = service.take_in(table(folder, "known", *in_folder(folder, *named)))
    assert [(row.name, row.image_path, row.status) for row in report] == [
        (str(at), f"{folder.name}/{name}", "stored") for at, name in enumerate(named, start=1)
    ]
    assert [row.image_id for row in report] == [by_name[name] for name in named]
    assert all(row.reason == "" for row in report)
    # The gate against leakage knows the file, however its parts were named.
    sources = {image.image_id: image.source_id for image in whole}
    assert {image.image_id: image.source_id for image in images}.items() <= sources.items()
    assert sources[by_name["film.dcm#frame-0001"]] == sources[by_name["film.dcm#frame-0002"]]


def test_a_part_that_a_folder_would_not_give_is_read_too(service: Ingesting, folder: Path) -> None:
    names = in_folder(folder, "long.dcm#frame-0003", "brain.nii.gz#slice-0001")
    images, report = service.take_in(table(folder, "others", *names))
    (frame,) = read_images(dicom(LONG[2], WindowCenter=2000, WindowWidth=4000), KEY)
    assert isinstance(frame, StoredForm)
    assert [row.status for row in report] == ["stored", "stored"]
    assert service.objects.read_bytes(f"sha256:{report[0].image_id}") == frame.png
    assert len({image.source_id for image in images}) == 2


def test_questions_find_their_parts_by_the_table_and_by_the_folder(service: Ingesting, folder: Path) -> None:
    names = in_folder(folder, "film.dcm#frame-2", "brain.nii.gz#slice-0006", "film.dcm")
    asked = table(folder, "asked", *names)
    rows = read_rows(asked, "table", "dev")
    for source, of_a_file in ((asked, 3), (folder, 0)):
        images, report = service.take_in(source)
        items, rejections = join_images(rows, images, report, "dev")
        assert [item.item_id for item in items] == ["1", "2"]
        assert [(row.name, row.reason) for row in rejections] == [("3", "its file holds several images")]
        # A row that names the whole file brings its frames in under its index.
        assert sum(row.name.startswith("3#frame-") for row in report) == of_a_file


@pytest.mark.parametrize(
    ("name", "reason", "remedy"),
    [
        ("film.dcm#frame-0004", "does not hold the part", "Name one of its 3"),
        ("film.dcm#frame-0000", "does not hold the part", "Name one of its 3"),
        ("film.dcm#slice-0001", "does not hold the part", "#frame-0001"),
        ("brain.nii.gz#slice-0011", "does not hold the part", "Name one of its 10"),
        ("brain.nii.gz#frame-0001", "does not hold the part", "#slice-0001"),
        ("one.dcm#frame-0001", "does not hold the part", "without a part"),
        ("plain.png#frame-0001", "does not hold the part", "without a part"),
        ("absent.dcm#frame-0001", "", ""),
    ],
)
def test_a_part_that_is_not_there_is_a_failed_row_with_a_way_out(
    service: Ingesting, folder: Path, name: str, reason: str, remedy: str
) -> None:
    good, bad = in_folder(folder, "film.dcm#frame-0001", name)
    _, (first, second) = service.take_in(table(folder, name.replace("#", " "), good, bad))
    assert (first.status, second.status) == ("stored", "failed")
    assert reason in second.reason
    assert remedy in second.remedy
    assert facts_of("dev", "images", [first, second]).lost == 1


def test_a_file_with_the_very_name_of_a_part_goes_first(service: Ingesting, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (images / "film.dcm").write_bytes(cine(FRAMES))
    (images / "film.dcm#frame-0002").write_bytes(png(picture(77)))
    asked = table(images, "asked", *in_folder(images, "film.dcm#frame-0002", "film.dcm#frame-0001"))
    _, (literal, frame) = service.take_in(asked)
    (form,) = read_images(png(picture(77)), KEY)
    assert isinstance(form, StoredForm)
    assert service.objects.read_bytes(f"sha256:{literal.image_id}") == form.png
    assert (frame.status, frame.image_path) == ("stored", "images/film.dcm#frame-0001")


def test_a_frame_without_a_window_has_the_range_that_it_has_among_the_others() -> None:
    data = cine(FRAMES)
    for whole in read_images(data, KEY):
        assert isinstance(whole, StoredForm)
        (alone,) = read_images(data, KEY, part=whole.part)
        assert alone == whole


@pytest.mark.parametrize("part", ["#frame-0001", "#frame-1"])
def test_a_file_of_a_part_that_has_changed_is_other_work(tmp_path: Path, part: str) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (images / "film.dcm").write_bytes(cine(FRAMES))
    asked = table(images, "asked", *in_folder(images, f"film.dcm{part}"))
    before = fingerprint(asked)
    (images / "film.dcm").write_bytes(cine(FRAMES[:2]))
    assert fingerprint(asked) != before


def test_a_part_of_a_quarantined_file_is_quarantined() -> None:
    (found,) = read_images(cine(FRAMES, BurnedInAnnotation="YES"), KEY, part="#frame-0001")
    assert not isinstance(found, StoredForm)
