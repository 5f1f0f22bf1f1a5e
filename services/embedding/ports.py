"""What embedding needs from outside: images in files, and an encoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.embedding.domain.images import Quarantined, StoredForm

Pixels = NDArray[np.uint8]
"""(h, w, 1) grey or (h, w, 3) RGB."""
Levels = NDArray[np.uint16]
"""(h, w), as `domain.depth.Depth` has them."""


@dataclass(frozen=True)
class Entry:
    """One input.

    Attributes:
        name: What the report calls it, unique in its source: the relative path, or the manifest's `index`.
        path: The file, or None where the manifest holds the picture itself.
        held: Where there is no file: the digest of the picture's text, which the listing holds.
        part: Which image of the file is meant, as `#frame-0007`; "" for all that are taken of it.
        image_path: The file as the source names it, "/" between its parts; "" where the picture is in the manifest.
        fault: Why it cannot be read at all; "" where that is not yet known.
        remedy: What can be done about the fault.
        modality, source_id, patient_id, session_id, licence, split: As the manifest says, "" where it does not.
    """

    name: str
    path: Path | None = None
    held: bytes = b""
    image_path: str = ""
    fault: str = ""
    remedy: str = "Correct the manifest's row."
    modality: str = ""
    source_id: str = ""
    patient_id: str = ""
    session_id: str = ""
    licence: str = ""
    split: str = ""
    part: str = ""

    @property
    def picture(self) -> str:
        """The same for entries that name the same file, or part of a file, or hold the same text."""
        return f"{self.path}{self.part}" if self.path is not None else self.held.hex()


class Listing(Protocol):
    """What a source names; it need not lie in memory. Safe to use from several threads."""

    def __len__(self) -> int:
        """How many entries there are."""

    def __iter__(self) -> Iterator[Entry]:
        """The entries, in a fixed order."""

    def read(self, entry: Entry) -> bytes:
        """The bytes of an entry's image file.

        Raises:
            InvalidArgument: Unreadable, too large, or not base64.
        """


class ImageSource(Protocol):
    """Where images come from."""

    def open(self, place: Path) -> AbstractContextManager[Listing]:
        """Everything that a folder or a manifest names, until the context ends.

        Raises:
            NotFound: There is no such file or folder.
            InvalidArgument: The manifest is of another kind, cannot be read, lacks a column, or has two of one name.
            FailedPrecondition: It names nothing.
        """


class ImageFormats(Protocol):
    """How images are read from files, and how they are stored. Safe to use from several threads."""

    @property
    def at_once(self) -> int:
        """How many images can be read at the same time."""

    def prepare(self) -> None:
        """Return once reading begins at once: what is marked as in hand is then read, and waits for nothing else.

        Raises:
            Unavailable: Nothing can be read at the moment.
        """

    def read(self, data: bytes, key: bytes, *, part: str = "") -> list[StoredForm | Quarantined]:
        """Read the images of a file of any known kind, one or more; `key` is the site's for hashes of identifiers.

        Of a file that holds several, `part` names the one that is meant, as `#frame-0007`; "" means all that are taken.

        Raises:
            InvalidArgument: Empty, of no known kind, damaged, without the part, or not to be read within the limits on
                memory and time.
            Unavailable: Nothing can be read at the moment.
        """

    def load(self, data: bytes) -> Pixels:
        """The pixels of the stored form as (h, w, 1) or (h, w, 3) uint8."""

    def load_levels(self, data: bytes) -> Levels:
        """The grey levels of their stored form, (h, w) uint16.

        Raises:
            InvalidArgument: It is none.
        """


class Encoder(Protocol):
    """Turns images and texts into vectors. Frozen: never trained here. Safe to use from several threads."""

    @property
    def encoder_id(self) -> str:
        """Name and digest of weights and preprocessing; vectors compare only under one id."""

    @property
    def dimension(self) -> int:
        """Length of an image vector."""

    @property
    def logit_scale(self) -> float | None:
        """What the cosine of an image and a text is multiplied by before a softmax; None where the two spaces are not one."""

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """Embed images, each alike whatever stands beside it.

        Returns: (n, dimension) float32, rows of unit norm.

        Raises:
            InvalidArgument: an image of another shape or type, or too small for this encoder.
        """

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts.

        Returns: (n, d) float32, rows of unit norm; d need not be `dimension`, as the two spaces need not be one.

        Raises:
            InvalidArgument: a text without any sign.
        """


class Encoders(Protocol):
    """The encoders of the site, by name. Safe to use from several threads."""

    def require(self, name: str) -> None:
        """Check that there is such an encoder, without loading it.

        Raises:
            NotFound: No encoder has this name; the remedy lists those there are.
            FailedPrecondition: Its folder is not complete.
        """

    def get(self, name: str) -> Encoder:
        """An encoder, loaded once.

        Args:
            name: Its name, or its id; "" is `shared.limits.STATISTICS`.

        Raises:
            NotFound: As `require`; or the folder of that name holds another encoder now.
            FailedPrecondition: As `require`; or it cannot be loaded.
        """
