"""What embedding needs from outside: an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""(h, w, 1) grey or (h, w, 3) RGB."""


class Encoder(Protocol):
    """Turns images and texts into vectors. Frozen: never trained here. Safe to use from several threads."""

    @property
    def encoder_id(self) -> str:
        """Name and digest of weights and preprocessing; vectors compare only under one id."""

    @property
    def dimension(self) -> int:
        """Length of an image vector."""

    @property
    def text_dimension(self) -> int:
        """Length of a text vector; the two spaces need not be one."""

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """Embed images, each alike whatever stands beside it.

        Returns: (n, dimension) float32, rows of unit norm.

        Raises:
            InvalidArgument: an image of another shape or type, or too small for this encoder.
        """

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts.

        Returns: (n, text_dimension) float32, rows of unit norm.

        Raises:
            InvalidArgument: a text without any sign.
        """
