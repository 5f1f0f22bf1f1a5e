"""The modality of an image is one of the vocabulary, or unknown, whatever its source says; the page has the same table."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pydicom
import pytest

from services.embedding.adapters.dicom import modality_of
from services.embedding.adapters.formats import read_images
from services.embedding.domain.images import StoredForm
from services.embedding.domain.modalities import told_modality
from shared.rows.vocabulary import MODALITIES, UNKNOWN, name_modality
from tests.support.pictures import dicom, nifti, picture, png

PAGE = Path(__file__).parents[3] / "docs" / "inputs.md"
VALUES = picture(0).astype(np.uint16) * 16
#: Codes of PS3.3 C.7.3.1.1.1, in use and retired.
KNOWN = {"CT": "ct", "MR": "mri", "OP": "fundus", "ES": "endoscopy", "SM": "histopathology"}
CODES = (
    "AR", "AS", "ASMT", "AU", "BDUS", "BI", "BMD", "CD", "CF", "CP", "CR", "CS", "CT", "DD", "DF", "DG", "DM", "DOC",
    "DS", "DX", "EC", "ECG", "EEG", "EMG", "EOG", "EPS", "ES", "FA", "FID", "FS", "GM", "HC", "HD", "IO", "IOL", "IVOCT",
    "IVUS", "KER", "KO", "LEN", "LP", "LS", "MA", "MG", "MR", "MS", "NM", "OAM", "OCT", "OP", "OPM", "OPR", "OPT",
    "OPTBSV", "OPTENF", "OPV", "OSS", "OT", "PA", "PLAN", "POS", "PR", "PT", "PX", "REG", "RESP", "RF", "RG", "RTDOSE",
    "RTIMAGE", "RTPLAN", "RTRECORD", "RTSTRUCT", "RWV", "SEG", "SM", "SMR", "SR", "SRF", "ST", "STAIN", "TEXTUREMAP",
    "TG", "US", "VA", "VF", "XA", "XC",
)  # fmt: skip


def modality(data: bytes) -> str:
    (form,) = read_images(data, b"key")
    assert isinstance(form, StoredForm)
    return told_modality("", form.modality, "")[0]


@pytest.mark.parametrize("code", CODES)
def test_each_code_of_dicom_is_a_word_of_the_vocabulary_or_unknown(code: str) -> None:
    assert modality(dicom(VALUES, Modality=code, BurnedInAnnotation="NO")) == KNOWN.get(code, UNKNOWN)


@pytest.mark.parametrize("code", ["", "MRI", "CT SCAN", "MAGNETIC", None])
def test_what_is_no_code_is_unknown(code: str | None) -> None:
    assert modality(dicom(VALUES, Modality=code, BurnedInAnnotation="NO")) == UNKNOWN


def test_a_code_in_small_letters_is_known_and_several_codes_are_not() -> None:
    data = dicom(VALUES).replace(b"CS\x02\0CT", b"CS\x02\0ct")
    assert modality(data) == "ct"
    dataset = pydicom.dcmread(io.BytesIO(dicom(VALUES)))
    dataset.Modality = ["CT", "MR"]
    assert modality_of(dataset) == UNKNOWN


def test_neither_a_picture_nor_a_volume_names_a_modality() -> None:
    assert modality(png(picture(0))) == UNKNOWN
    volume = np.stack([picture(seed).astype(np.int16) for seed in range(2)], axis=-1)
    assert {form.modality for form in read_images(nifti(volume, np.eye(4)), b"key")} == {""}


@pytest.mark.parametrize("text", ["X-ray", "pt", "PET", "us", "ultrasound", "OCT", "CT/MR", "none", "?", "fMRI"])
def test_a_word_of_a_manifest_that_is_not_of_the_vocabulary_is_unknown(text: str) -> None:
    assert name_modality(text) == UNKNOWN


def test_the_page_has_the_codes_that_are_known_and_no_others() -> None:
    rows = re.findall(r"^\| `([A-Z]+)` \| `([a-z]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert dict(rows) == KNOWN
    assert set(KNOWN.values()) == set(MODALITIES)
