"""`ports.Encoders` over encoders that are at hand."""

from __future__ import annotations

from services.embedding.ports import Encoder
from shared.errors import NotFound


class EncodersHere:
    """Encoders by name or id; the first one is that of no name."""

    def __init__(self, **encoders: Encoder) -> None:
        self._encoders = encoders

    def require(self, name: str) -> None:
        self.get(name)

    def get(self, name: str) -> Encoder:
        for known, encoder in self._encoders.items():
            if name in ("", known, encoder.encoder_id):
                return encoder
        raise NotFound("No encoder of this site has this name.", field="encoder", value=name)
