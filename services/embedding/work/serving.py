"""What works with each encoder: its rows, what records inputs, embeds and guesses for it; made when it is first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from services.embedding.ports import Encoder, Encoders
from services.embedding.store.images import Store
from services.embedding.work.modalities import ModalityGuesser
from services.embedding.work.reading import InputReader
from services.embedding.work.worker import EmbeddingWorker


@dataclass(frozen=True)
class Serving:
    """What works with one encoder; without a guesser no modality is guessed."""

    store: Store
    reader: InputReader
    worker: EmbeddingWorker
    guesser: ModalityGuesser | None = None


class Servings:
    """Those of a process, one an encoder.

    Args:
        encoders: The site's.
        make: Puts together what works with an encoder.
    """

    def __init__(self, encoders: Encoders, make: Callable[[Encoder], Serving]) -> None:
        self._encoders = encoders
        self._make = make
        self._lock = threading.Lock()
        self._made: dict[str, Serving] = {}

    def get(self, encoder: str) -> Serving:
        """What works with an encoder, by its name or id; raises as `ports.Encoders.get`."""
        found = self._encoders.get(encoder)
        with self._lock:
            if found.encoder_id not in self._made:
                self._made[found.encoder_id] = self._make(found)
            return self._made[found.encoder_id]
