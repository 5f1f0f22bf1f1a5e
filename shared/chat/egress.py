"""The rule of what may leave: an endpoint that may receive it, and no image in which somebody's name may stand.

Images come as the pixels of what is stored, which ingest has de-identified. They are encoded anew here, so that what is sent
holds nothing but pixels. What passes has its rows for the audit, which are written before it is sent.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.chat.endpoints import Endpoint, MayReceive, require_endpoint
from shared.chat.messages import ChatRequest
from shared.errors import PermissionDenied

#: What is asked of an endpoint, and the kind of its costs.
Purpose = Literal["oracle", "judge"]
PURPOSES: tuple[Purpose, ...] = ("oracle", "judge")
#: How likely text is burned into (height, width, 3) uint8 pixels, 0..1.
TextDoubt = Callable[[NDArray[np.uint8]], float]


@dataclass(frozen=True)
class StoredImage:
    """An image of the object store.

    Attributes:
        image_id: sha256 of what is stored, 64 hex digits.
        pixels: (height, width, 3) uint8, RGB, of what is stored.
    """

    image_id: str
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Egress:
    """One thing that is about to leave.

    Attributes:
        endpoint: Its name in the site's settings.
        host: Of the endpoint, with the port where one is set.
        model: Its name there.
        purpose: "oracle" or "judge".
        image_id: sha256 of the stored image; "" for none.
        text_sha256: Of the text of the question, UTF-8.
        n_bytes: Of the image as it is sent; of the first thing of a request also of its texts.
    """

    endpoint: str
    host: str
    model: str
    purpose: Purpose
    image_id: str
    text_sha256: str
    n_bytes: int


class EgressGuard:
    """Lets requests to one endpoint pass, or does not. Safe to use from several threads.

    Args:
        name: Of the endpoint.
        endpoint: What the site says of it.
        purpose: What it is asked for.
        text_doubt: Looks for text in pixels.
        quarantine_from: The doubt from which on an image stays here, in (0, 1].
    """

    def __init__(
        self, name: str, endpoint: Endpoint, purpose: Purpose, text_doubt: TextDoubt, quarantine_from: float
    ) -> None:
        self._name = name
        self._endpoint = endpoint
        self._purpose = purpose
        self._text_doubt = text_doubt
        self._quarantine_from = quarantine_from

    def clear(self, request: ChatRequest, images: Sequence[StoredImage] = ()) -> tuple[ChatRequest, tuple[Egress, ...]]:
        """The request with its images as they may leave, and the rows of the audit: one for each image, or one without.

        Raises:
            PermissionDenied: The endpoint may not receive it, or text may stand in an image.
            ValueError: The request brings images of its own.
        """
        if request.images:
            raise ValueError("Images are encoded here: give them as stored images.")
        needed: MayReceive = "images" if images else "text"
        require_endpoint(self._name, {self._name: self._endpoint}, needed, "endpoint")
        encoded = tuple(self._encode(image) for image in images)
        n_text = len(request.text.encode()) + len(request.system.encode())
        sizes = [len(png) for png in encoded] or [0]
        sizes[0] += n_text
        rows = tuple(
            self._row(request.text, image_id, size)
            for image_id, size in zip([image.image_id for image in images] or [""], sizes, strict=True)
        )
        return replace(request, images=encoded), rows

    def _encode(self, image: StoredImage) -> bytes:
        """A PNG of the pixels and nothing else."""
        doubt = self._text_doubt(image.pixels)
        if not doubt < self._quarantine_from:  # what is no number is doubt enough
            raise PermissionDenied(
                "Text may be burned into the image, so it does not leave.",
                field="image_id",
                value=image.image_id,
                remedy="Black out the text and ingest the image again, or leave it out.",
            )
        return encode_png(image.pixels)

    def _row(self, text: str, image_id: str, n_bytes: int) -> Egress:
        return Egress(
            endpoint=self._name,
            host=self._endpoint.host,
            model=self._endpoint.model,
            purpose=self._purpose,
            image_id=image_id,
            text_sha256=hashlib.sha256(text.encode()).hexdigest(),
            n_bytes=n_bytes,
        )


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG file of (height, width, 3) uint8 pixels, and of nothing else."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
