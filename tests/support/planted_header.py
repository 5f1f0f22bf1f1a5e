"""DICOM headers in which each attribute that identifies has a value of its own, to be looked for in whatever was kept."""

from __future__ import annotations

import pydicom
from pydicom.datadict import dictionary_VR, tag_for_keyword

from tests.support.basic_profile import IDENTIFYING

_TEXTS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_BYTES = frozenset({"OB", "OW", "UN"})
_PRIVATE_GROUP, _OVERLAY_GROUP = 0x0099, 0x6000
#: What the values begin with or hold: texts, unique identifiers, times. Dates, ages and numbers are too short to be sought so.
STEMS = ("ZQX_MARKER_", "2.25.7741", "031415.77")
_BESIDE = {
    "private text": "ZQX_PRIVATE_TEXT",
    "private bytes": "ZQX_PRIVATE_BYTES",
    "overlay": "ZQX_OVERLAY_TEXT",
    "a window": "ZQX_WINDOW_TEXT_",
}


def plant_header(dataset: pydicom.Dataset) -> dict[str, str]:
    """Plant a value in every attribute of `IDENTIFYING`, in private elements, in an overlay and beside windows.

    Returns: Place to what was planted there.
    """
    markers = dict(_BESIDE)
    for number, keyword in enumerate(IDENTIFYING, start=1):
        tag = tag_for_keyword(keyword)
        assert tag is not None, keyword
        kind = dictionary_VR(tag)
        markers[keyword] = marker = _marker(kind, number)
        if kind == "SQ":
            dataset.add_new(tag, kind, [_nested(marker)])
        else:
            dataset.add_new(tag, kind, marker.encode() if kind in _BYTES else marker)
    block = dataset.private_block(_PRIVATE_GROUP, "MAKER", create=True)
    block.add_new(1, "LO", _BESIDE["private text"])
    block.add_new(2, "OB", _BESIDE["private bytes"].encode())
    text = _BESIDE["overlay"]
    for element, kind, value in (
        (0x0010, "US", 32), (0x0011, "US", 32), (0x0022, "LO", text), (0x0040, "CS", "G"), (0x0050, "SS", [1, 1]),
        (0x0100, "US", 1), (0x0102, "US", 0), (0x3000, "OB", text.encode() * 8), (0x4000, "LT", text),
    ):  # fmt: skip
        dataset.add_new((_OVERLAY_GROUP, element), kind, value)
    _plant_groups(dataset)
    return markers


def _plant_groups(dataset: pydicom.Dataset) -> None:
    """Texts beside the window that is read, in the header and in the functional groups of each frame."""
    text = _BESIDE["a window"]
    dataset.WindowCenter, dataset.WindowWidth, dataset.WindowCenterWidthExplanation = 2000, 4000, text
    content, voi, rescale, group = (pydicom.Dataset() for _ in range(4))
    content.FrameComments = content.FrameLabel = text
    voi.WindowCenter, voi.WindowWidth, voi.WindowCenterWidthExplanation = 2000, 4000, text
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = 1, 0, text
    group.FrameContentSequence, group.FrameVOILUTSequence = [content], [voi]
    group.PixelValueTransformationSequence = [rescale]
    n_frames = int(dataset.get("NumberOfFrames", 1))
    if n_frames > 1:
        dataset.PerFrameFunctionalGroupsSequence = [group] * n_frames


def _nested(text: str) -> pydicom.Dataset:
    """The item of a sequence: a text, and the same in a sequence of its own."""
    inner, outer = pydicom.Dataset(), pydicom.Dataset()
    inner.PatientComments = outer.StudyComments = text
    outer.RequestAttributesSequence = [inner]
    return outer


def _marker(kind: str, number: int) -> str:
    """A value that fits its kind and stands nowhere else; of dates and ages there are few."""
    day = f"17{number // 300 + 10}{number % 12 + 1:02d}{number % 25 + 1:02d}"
    if kind in _TEXTS or kind in _BYTES or kind == "SQ":
        return f"{STEMS[0]}{number:04d}!"[: 15 if kind in ("CS", "AE", "SH") else 16]
    if kind == "UI":
        return f"{STEMS[1]}{number:04d}90210"
    if kind in ("DA", "AS"):
        return day if kind == "DA" else f"{number % 100 + 800}W"
    if kind in ("TM", "DT"):
        return f"{day if kind == 'DT' else ''}{STEMS[2]}{number:04d}"
    assert kind == "DS", kind
    return f"77{number:04d}41.5"
