"""Loads the towers of an encoder's folder, whichever kind it is of."""

from __future__ import annotations

import torch

from services.embedding.adapters.encoder_folders import EncoderFolder
from services.embedding.adapters.towers import Towers


def load_towers(folder: EncoderFolder, device: str) -> Towers:
    """Load both towers; `device` is "cpu", "cuda", or "auto" for a GPU if there is one.

    Raises:
        InvalidArgument: See `load_open_clip` and `load_transformers`.
        Exception: Whatever their libraries raise at files that do not fit together.
    """
    place = torch.device("cuda" if device == "auto" and torch.cuda.is_available() else device.replace("auto", "cpu"))
    if folder.kind == "open_clip":
        from services.embedding.adapters.open_clip_towers import load_open_clip

        return load_open_clip(folder, place)
    from services.embedding.adapters.transformers_towers import load_transformers

    return load_transformers(folder, place)
