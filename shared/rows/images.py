"""Kind `image-set`: what an ingest stored, and what became of each of its inputs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta

from shared.rows.fields import ImageId, Modality, ObjectUri, Row, SourceId, Split, written

KeyedHash = Annotated[str, Meta(description='keyed hash; "" where nothing is known', max_length=64)]
Pixels = Annotated[int, Meta(ge=1, description="pixels")]
WindowFunction = Literal["linear", "linear_exact", "sigmoid", "lut", "minmax"]
#: How the name of one image of a file that holds several ends: a frame of DICOM, a slice of a volume, counted from 1.
_PART = re.compile(r"#(?:frame|slice)-[0-9]{4,9}$")
_PART_AS_WRITTEN = re.compile(r"#(frame|slice)-([0-9]{1,9})$")
#: How the reason of a duplicate begins: its file stands in several rows, as in a table of questions, or another file is alike.
SAME_FILE, OTHER_FILE = "the same file again", "another file holds the same picture"
OTHER_PART = "another image of the same file is the same picture"
#: Why a file that an archive writes beside its images is left out: it was never meant to be one.
DICOMDIR = "The file is a DICOMDIR, the index of the images beside it."
STRUCTURED_REPORT = "The DICOM file is a structured report and holds no pixels."
ModalityFrom = Literal["manifest", "header", "request", "zero_shot", ""]
MANIFEST: ModalityFrom = "manifest"
HEADER: ModalityFrom = "header"
REQUEST: ModalityFrom = "request"
ZERO_SHOT: ModalityFrom = "zero_shot"
Status = Literal["stored", "duplicate", "quarantined", "failed"]


def part_of(name: str) -> str:
    """Which image of its file the name of an input names, as `#frame-0007`; "" where it names the file as a whole."""
    found = _PART.search(name)
    return found[0] if found else ""


def entry_of(name: str) -> str:
    """The name of an input without the image of its file."""
    return name.removesuffix(part_of(name))


def spelled_out(path: str) -> str:
    """A path as people write it, with the number of its part in four digits or more: `#frame-7` as `#frame-0007`."""
    return _PART_AS_WRITTEN.sub(lambda found: f"#{found[1]}-{int(found[2]):04d}", path)


class Window(Row, kw_only=False):
    """Which grey levels of the file became 0..255; limits in the values of the file after rescale, none for `lut`."""

    function: Annotated[
        WindowFunction, Meta(description="DICOM PS3.3 C.11.2.1; `lut` is a table of the file, `minmax` its own range")
    ]
    center: float | None = None
    width: float | None = None


class Image(Row):
    """A stored image, and what this ingest said of it."""

    image_id: ImageId
    image_uri: ObjectUri
    phash: Annotated[str, Meta(description="64-bit perceptual hash, 16 hex digits", min_length=16, max_length=16)]
    width: Pixels
    height: Pixels
    window: Window | None
    modality: Modality
    source_id: SourceId
    patient: KeyedHash
    session: KeyedHash
    split: Split
    licence: Annotated[str, Meta(description='as the manifest says; "" where it says nothing')]
    structure: Annotated[
        str, Meta(description='hash of coarse structure, 104 hex digits; "" of older releases', max_length=104)
    ] = written("")
    modality_from: Annotated[
        ModalityFrom,
        Meta(
            description="who says the modality: the manifest, the file's header, the request, or `zero_shot`, a **guess** by the "
            'encoder; of `unknown`, who names one that the product does not know; "" for nobody, and of older releases'
        ),
    ] = written("")


class Input(Row):
    """What became of one input of an ingest."""

    name: Annotated[
        str,
        Meta(
            description="file name, or index of the manifest's row; `#frame-0007` or `#slice-0042` is one of its images"
        ),
    ]
    image_path: Annotated[str, Meta(description='relative to the source; "" where the manifest held the pixels')]
    image_id: Annotated[str, Meta(description='the stored image; "" where nothing was stored', max_length=64)]
    status: Status
    reason: Annotated[str, Meta(description='why it was not taken in, or a remark; "" for none')]
    remedy: Annotated[str, Meta(description='what can be done about it; "" for nothing')]


def who_told_modality(images: Iterable[Image]) -> Counter[str]:
    """How many images have their modality from whom, as `modality_manifest`: guesses and what nobody told are counted apart."""
    return Counter(f"modality_{_teller(image)}" for image in images)


def _teller(image: Image) -> str:
    if image.modality == "unknown":
        return "unknown"
    return image.modality_from or "of_an_older_release"
