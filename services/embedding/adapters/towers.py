"""An encoder with weights: an image tower and a text tower on one device. Implements `ports.Encoder`.

Images and texts pass one at a time: the last bits of a product of matrices depend on how many rows it has, and a vector must not
depend on what stands beside its image.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from services.embedding.domain.vectors import require_texts, unit_rows
from services.embedding.ports import Pixels
from shared.errors import InvalidArgument


@dataclass(frozen=True)
class Towers:
    """What a checkpoint gives, ready to be called on `device`.

    Attributes:
        prepare: (h, w, 3) uint8 to the image tower's input, (1, 3, s, s) float32, by the checkpoint's own preprocessing.
        image_tower: That input to (1, d).
        tokenize: A text to what the text tower takes, by name; cut where it is longer than the tower reads.
        text_tower: That to (1, d).
        device: Where the towers are.
        logit_scale: See `ports.Encoder`; the checkpoint's own, no logarithm.
    """

    prepare: Callable[[Pixels], torch.Tensor]
    image_tower: torch.nn.Module
    tokenize: Callable[[str], dict[str, torch.Tensor]]
    text_tower: torch.nn.Module
    device: torch.device
    logit_scale: float | None


ImageTower = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(1, 3, s, s) to (1, d)."""


class TowerEncoder:
    """An encoder out of two towers.

    Args:
        encoder_id: See the port.
        towers: Its towers.
        image_tower: In the place of that of `towers`: the same in whole numbers.
    """

    def __init__(self, encoder_id: str, towers: Towers, image_tower: ImageTower | None = None) -> None:
        self._encoder_id = encoder_id
        self._towers = towers
        self._image_tower = image_tower or self._eager_images
        self._tokenizing = threading.Lock()  # fast tokenizers of `transformers` may not be used by two threads at once
        self._dimension = int(self.embed_images([np.zeros((8, 8, 1), np.uint8)]).shape[1])
        self.embed_texts(["?"])  # a folder that does not fit together is known before anything is embedded

    @property
    def encoder_id(self) -> str:
        """See the port."""
        return self._encoder_id

    @property
    def dimension(self) -> int:
        """See the port."""
        return self._dimension

    @property
    def logit_scale(self) -> float | None:
        """See the port; a tower in whole numbers is near enough to take the same."""
        return self._towers.logit_scale

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """See the port."""
        if not images:
            return np.zeros((0, self._dimension), np.float32)
        return unit_rows(np.concatenate([self._image_tower(self._prepared(pixels)) for pixels in images]))

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See the port."""
        require_texts(texts)
        if not texts:
            return np.zeros((0, self._dimension), np.float32)
        rows = []
        for text in texts:
            with self._tokenizing:
                tokens = self._towers.tokenize(text)
            with torch.inference_mode():
                moved = {name: values.to(self._towers.device) for name, values in tokens.items()}
                rows.append(self._towers.text_tower(**moved).float().cpu().numpy())
        return unit_rows(np.concatenate(rows))

    def _prepared(self, pixels: Pixels) -> NDArray[np.float32]:
        if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or pixels.dtype != np.uint8 or not pixels.size:
            remedy = "Give (h, w, 1) or (h, w, 3) uint8."
            raise InvalidArgument("This is no image.", field="images", value=pixels.shape, remedy=remedy)
        rgb = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
        return self._towers.prepare(np.ascontiguousarray(rgb)).numpy()

    def _eager_images(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            row: torch.Tensor = self._towers.image_tower(torch.from_numpy(values).to(self._towers.device))
            return np.asarray(row.float().cpu().numpy(), np.float32)
