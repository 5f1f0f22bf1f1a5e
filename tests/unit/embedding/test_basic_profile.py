"""PS3.15, basic profile, tag by tag: of a header only the modality and keyed hashes of patient and study are kept.

Files with a planted value in every attribute that identifies are taken in by the real reader, in its own process, and the real
ingest. Then the stored pictures, the image set, the tables, the errors and the logs are looked through.
"""

from __future__ import annotations

import gzip
import io
import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from nibabel.nifti1 import Nifti1DicomExtension, Nifti1Extension
from PIL import Image as Picture
from pydicom.datadict import tag_for_keyword
from pydicom.uid import RLELossless

from services.embedding.adapters.child import Limits
from services.embedding.adapters.readers import ImageReaders
from services.embedding.domain.identity import keyed_hash
from shared.rows.images import Image, Input
from tests.support.basic_profile import IDENTIFYING
from tests.support.databases import sqlite_database
from tests.support.ingesting import Ingesting
from tests.support.pictures import cine, dicom, picture
from tests.support.planted_header import STEMS, plant_header
from tests.support.scanning import Scanner, views_of

KEY = b"a key for tests only"
_NIFTI_TEXTS = {"descrip": 80, "db_name": 18, "aux_file": 24, "intent_name": 16, "data_type": 10}
_DEEP = np.stack([picture(seed).astype(np.uint16) * 16 for seed in range(10, 17)])


@dataclass(frozen=True)
class Taken:
    """What an ingest of planted files left: its state in a folder, what it logged and printed, and what was planted."""

    markers: dict[str, str]
    images: list[Image]
    report: list[Input]
    source: Path
    folder: Path
    told: bytes


def test_the_list_is_of_attributes_that_the_standard_knows() -> None:
    assert len(IDENTIFYING) > 350
    assert all(tag_for_keyword(keyword) for keyword in IDENTIFYING)


def planted_dicom(data: bytes, is_compressed: bool = False, **tags: object) -> tuple[bytes, dict[str, str]]:
    dataset = pydicom.dcmread(io.BytesIO(data))
    if is_compressed:
        dataset.compress(RLELossless)
    markers = plant_header(dataset)
    for name, value in tags.items():
        setattr(dataset, name, value)
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue(), markers


def planted_nifti() -> tuple[bytes, dict[str, str]]:
    values = np.stack([picture(20 + at).astype(np.int16) for at in range(3)], axis=-1)
    image, markers = nibabel.Nifti1Image(values, np.eye(4)), {}
    for name, length in _NIFTI_TEXTS.items():
        markers[f"NIfTI {name}"] = marker = f"ZQX_{name.upper()}_OF_A_NAME"[:length]
        image.header[name] = marker.encode()
    for code in ("comment", "afni", "xcede"):
        markers[f"NIfTI {code}"] = marker = f"ZQX_EXTENSION_{code.upper()}"
        image.header.extensions.append(Nifti1Extension(code, marker.encode()))
    inner = pydicom.Dataset()
    inner.PatientName = markers["NIfTI dicom"] = "ZQX_EXTENSION_DICOM"
    image.header.extensions.append(Nifti1DicomExtension(2, inner))
    return image.to_bytes(), markers


def plant(folder: Path) -> dict[str, str]:
    """Good, quarantined and damaged files of each kind; place to what was planted."""
    folder.mkdir()
    single, film = dicom(_DEEP[0]), cine(_DEEP[1:4])
    data, markers = planted_dicom(single)
    files = {"single": data, "single, cut": data[:-600], "single, cut early": data[: len(data) // 2]}
    files["film"] = planted_dicom(film)[0]
    files["film, compressed"] = planted_dicom(cine(_DEEP[4:7]), is_compressed=True)[0]
    files["film, cut"] = files["film"][:-3000]
    files["text in the pixels"] = planted_dicom(single, BurnedInAnnotation="YES")[0]
    files["text in a number"] = planted_dicom(single, RescaleSlope="1.5", RescaleIntercept="0")[0].replace(
        b"1.5 ", b"ZQX!"
    )
    volume, others = planted_nifti()
    files |= {"volume.nii": volume, "volume.nii.gz": gzip.compress(volume), "volume, cut": volume[:-3000]}
    assert all(text.encode() in files["film"] for text in markers.values())
    assert all(text.encode() in volume for text in others.values())
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return markers | others


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Taken:
    source, state = tmp_path_factory.mktemp("source") / "pool", tmp_path_factory.mktemp("state")
    markers = plant(source)
    logged = io.StringIO()
    handler = logging.StreamHandler(logged)
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    with sqlite_database(state) as database:
        service = Ingesting(state, database, KEY)
        try:
            images, report = service.take_in(source)
        finally:
            service.close()
            root.removeHandler(handler)
            root.setLevel(level)
    return Taken(markers, images, report, source, state, logged.getvalue().encode())


def test_every_kind_of_file_was_taken_in_or_refused(taken: Taken) -> None:
    """Else that nothing is found would say nothing."""
    became = {row.name: row.status for row in taken.report}
    assert became == {
        **dict.fromkeys(["single", *(f"film#frame-000{n}" for n in (1, 2, 3))], "stored"),
        **dict.fromkeys([f"film, compressed#frame-000{n}" for n in (1, 2, 3)], "stored"),
        **dict.fromkeys([f"volume.nii#slice-000{n}" for n in (1, 2, 3)], "stored"),
        **dict.fromkeys([f"volume.nii.gz#slice-000{n}" for n in (1, 2, 3)], "duplicate"),
        "text in the pixels": "quarantined",
        **dict.fromkeys(["single, cut", "single, cut early", "film, cut", "text in a number", "volume, cut"], "failed"),
    }


def test_no_value_of_any_attribute_that_identifies_is_kept_anywhere(taken: Taken) -> None:
    values = [text.encode() for text in taken.markers.values()]
    views = [view for path in taken.folder.rglob("*") if path.is_file() for view in views_of(path.read_bytes())]
    assert [text for text in values if any(text in view for view in (*views, taken.told))] == []


def test_what_the_values_begin_with_is_found_in_no_coding_either(taken: Taken) -> None:
    """Nor in cells of databases, names of files, or as plain hashes of who it is."""
    whole = {
        place: taken.markers[place] for place in ("PatientName", "PatientID", "StudyInstanceUID", "AccessionNumber")
    }
    scanner = Scanner(whole | {f"begins with {text}": text for text in STEMS} | {"NIfTI": "ZQX_EXTENSION_"})
    assert {one.marker for one in scanner.look_through(taken.source)} == set(whole) | {
        *(f"begins with {text}" for text in STEMS), "NIfTI",
    }  # fmt: skip
    assert scanner.look_through(taken.folder) == set()
    assert set(scanner.look("told", taken.told)) == set()


def test_a_stored_picture_has_its_pixels_and_no_text(taken: Taken) -> None:
    pictures = [path.read_bytes() for path in taken.folder.rglob("*") if path.is_file()]
    pngs = [data for data in pictures if data.startswith(b"\x89PNG")]
    n_deep = 0
    for data in pngs:
        with Picture.open(io.BytesIO(data)) as image:
            assert image.info == {}
            n_deep += image.mode == "I;16"
        assert _chunks(data) == {b"IHDR", b"IDAT", b"IEND"}
    assert len(pngs) - n_deep == len(taken.images) == 10
    assert n_deep == 10  # their grey levels of more than 8 bits, of each image


def test_patient_and_study_are_kept_as_keyed_hashes_alone(taken: Taken) -> None:
    patient = keyed_hash(KEY, "patient", taken.markers["PatientID"])
    study = keyed_hash(KEY, "session", taken.markers["StudyInstanceUID"])
    whose = Counter((image.patient, image.session, image.modality) for image in taken.images)
    assert whose == {(patient, study, "ct"): 7, ("", "", "unknown"): 3}


def test_the_real_reader_tells_nothing_of_a_header_in_its_answer() -> None:
    readers = ImageReaders(1, Limits())
    try:
        for is_compressed in (False, True):
            data, markers = planted_dicom(cine(_DEEP), is_compressed)
            told = repr(readers.read(data, KEY)).encode()
            assert [place for place, text in markers.items() if text.encode() in told] == []
    finally:
        readers.close()


def _chunks(png: bytes) -> set[bytes]:
    """The kinds of the chunks of a PNG."""
    at, kinds = 8, set()
    while at < len(png):
        kinds.add(png[at + 4 : at + 8])
        at += 12 + int.from_bytes(png[at : at + 4], "big")
    return kinds
