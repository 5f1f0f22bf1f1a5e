"""Inputs that say in every place that their formats have whom they show: a marker for each place, to be looked for afterwards."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image, PngImagePlugin, TiffImagePlugin
from pydicom.dataset import Dataset

from tests.support.pictures import dicom, picture, png

#: Place to marker: what must be in no store, no log and no output.
MARKERS = {
    "PatientName": "Zyxmarker^Quendolyn",
    "PatientID": "PIDZQX-7719-KLM",
    "OtherPatientIDs": "MRN00ZQX8841",
    "StudyInstanceUID": "1.2.826.0.1.9944771.5531",
    "AccessionNumber": "ACCZQX55102",
    "InstitutionName": "Spital Zqxheim",
    "private tag": "PrivZQX Quendolyn",
    "nested tag": "NestZQX Quendolyn",
    "number that is none": "SLOPEZQX-8841-NO",
    "quarantined": "BurnedZQX Quendolyn",
    "cut short": "CutZQX Quendolyn",
    "tEXt": "TextZQX Quendolyn",
    "zTXt": "ZtxtZQX Quendolyn",
    "iTXt": "ItxtZQX Quendolyn",
    "behind the end": "TailZQX Quendolyn",
    "EXIF": "ExifZQX Quendolyn",
    "XMP": "XmpZQX Quendolyn",
    "ImageDescription": "DescZQX Quendolyn",
    "Artist": "ArtZQX Quendolyn",
    "JPEG comment": "ComZQX Quendolyn",
    "no picture": "PlainZQX Quendolyn",
    "patient_id": "MANZQX-0001-PID",
    "session_id": "MANZQX-0002-SES",
    "source_id": "MANZQX-0009-SRC",
    "another column": "MANZQX-0003-COL",
    "modality": "MANZQX-0008-MOD",
    "a row of another length": "MANZQX-0004-ROW",
    "a broken table": "MANZQX-0005-TAB",
    "a table of questions": "MANZQX-0006-QUE",
    "a row that is no question": "MANZQX-0007-REJ",
}
#: Stands in names of files alone, which an ingest keeps for those who brought them in.
NAMED = "NameZQX_Quendolyn"
_PRIVATE_GROUP, _SLOPE = 0x0099, "1.00000000000000"


def plant_pictures(folder: Path) -> None:
    """A folder of good, quarantined and broken files."""
    folder.mkdir(parents=True)
    for name, data in (_dicoms() | _pngs() | _others()).items():
        (folder / name).write_bytes(data)


def _tagged(seed: int, **tags: object) -> bytes:
    """A DICOM file with identifiers in its header."""
    known = ("PatientName", "PatientID", "OtherPatientIDs", "StudyInstanceUID", "AccessionNumber", "InstitutionName")
    values = picture(seed).astype(np.uint16) * 16
    file = pydicom.dcmread(io.BytesIO(dicom(values, **{name: MARKERS[name] for name in known}, **tags)))
    block = file.private_block(_PRIVATE_GROUP, "ZQX", create=True)
    block.add_new(1, "LO", MARKERS["private tag"])
    inner = Dataset()
    inner.PatientComments = MARKERS["nested tag"]
    file.RequestAttributesSequence = [inner]
    target = io.BytesIO()
    file.save_as(target)
    return target.getvalue()


def _dicoms() -> dict[str, bytes]:
    slope = _tagged(1, RescaleSlope=_SLOPE, RescaleIntercept="0")
    return {
        "good.dcm": _tagged(0),
        "number.dcm": slope.replace(_SLOPE.encode(), MARKERS["number that is none"].encode()),
        "uid.dcm": _tagged(2).replace(b"1.2.840.10008.1.2.1\0", MARKERS["PatientName"].encode() + b"\0"),
        "burned.dcm": _tagged(3, BurnedInAnnotation="YES", PatientComments=MARKERS["quarantined"]),
        "cut.dcm": _tagged(4, ImageComments=MARKERS["cut short"])[:-900],
        f"{NAMED}.dcm": _tagged(5)[:400],
    }


def _pngs() -> dict[str, bytes]:
    info = PngImagePlugin.PngInfo()
    info.add_text("Patient", MARKERS["tEXt"])
    info.add_text("Comment", MARKERS["zTXt"], zip=True)
    info.add_itxt("Name", MARKERS["iTXt"], zip=True)
    target = io.BytesIO()
    Image.fromarray(picture(6)).save(target, "PNG", pnginfo=info, exif=_exif())
    return {
        "texts.png": target.getvalue() + MARKERS["behind the end"].encode(),
        "broken.png": target.getvalue()[:-60],
        "text.png": MARKERS["no picture"].encode(),
        f"{NAMED}.png": png(picture(7)),
    }


def _others() -> dict[str, bytes]:
    jpeg, tiff = io.BytesIO(), io.BytesIO()
    xmp = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{MARKERS['XMP']}</x:xmpmeta>".encode()
    Image.fromarray(picture(8)).save(jpeg, "JPEG", exif=_exif(), xmp=xmp, comment=MARKERS["JPEG comment"])
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[270], tags[315] = MARKERS["ImageDescription"], MARKERS["Artist"]
    Image.fromarray(picture(9)).save(tiff, "TIFF", tiffinfo=tags)
    return {"camera.jpg": jpeg.getvalue(), "scan.tiff": tiff.getvalue()}


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010E] = MARKERS["EXIF"]
    return exif


def plant_manifest(path: Path, pictures: Path) -> Path:
    """A manifest of good pictures with identifiers in its columns, one of its rows of another length."""
    pictures.mkdir(exist_ok=True)
    lines = ["image_path\tpatient_id\tsession_id\tpatient_name\tmodality\tsource_id"]
    for number in range(20, 26):
        (pictures / f"{number}.png").write_bytes(png(picture(number)))
        cells = (f"{pictures.name}/{number}.png", MARKERS["patient_id"], MARKERS["session_id"])
        source = f"{MARKERS['source_id']} {number}"
        lines.append("\t".join((*cells, MARKERS["another column"], MARKERS["modality"], source)))
    lines.append(f"{pictures.name}/20.png\t{MARKERS['a row of another length']}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def plant_questions(path: Path, pictures: Path) -> Path:
    """A table of questions about these pictures with identifiers in its columns; one row is no question."""
    with path.open("w", encoding="utf-8", newline="") as target:
        table = csv.writer(target, delimiter="\t", lineterminator="\n")
        table.writerow(
            ("index", "image_path", "question", "A", "B", "answer", "patient_id", "session_id", "source_id", "name")
        )
        for number in range(20, 26):
            place, who = f"{pictures.name}/{number}.png", MARKERS["a table of questions"]
            session, source = MARKERS["session_id"], MARKERS["source_id"]
            table.writerow((number, place, "Is it sharp?", "Yes", "No", "A", who, session, source, who))
        who = MARKERS["a row that is no question"]
        table.writerow((99, f"{pictures.name}/20.png", "Is it sharp?", "Yes", "No", who, who, who, who, who))
    return path


def plant_broken_tables(folder: Path) -> list[Path]:
    """Tables that are refused as a whole: no header, an open quotation mark, no UTF-8, no table, two columns of one name."""
    who = MARKERS["a broken table"]
    contents = {
        "headless.tsv": f"{who}\t{who} Doe\n{who}\t1937\n".encode(),
        "open.tsv": f'image_path\tpatient_id\n"{who}\t{who}\n'.encode(),
        "latin.csv": f"image_path,patient_id\na.png,{who} M\xfcller\n".encode("latin-1"),
        "no.parquet": f"PAR1{who}".encode(),
        "twice.csv": f"image_path,{who},{who}\n".encode(),
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in contents]
