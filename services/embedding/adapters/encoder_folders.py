"""What an encoder's folder must hold, and which encoder it is; without torch, so that a wrong folder is known at once.

Two kinds: a folder of open_clip, as BiomedCLIP is published, and a checkpoint of `transformers` with an image and a text tower.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from shared.checkpoints import (
    KNOWN_FILES,
    MOST_WEIGHT_BYTES,
    TOKENIZER_FILES,
    checkpoint_files,
    incomplete,
    place_of,
    read_json,
)
from shared.errors import FailedPrecondition, InvalidArgument
from shared.regular_files import open_regular

OPEN_CLIP_CONFIG = "open_clip_config.json"
#: The first that is there counts.
OPEN_CLIP_WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)
INT8_TOWER, INT8_FACTS = "image_tower.int8.onnx", "image_tower.int8.json"
#: What belongs to the other kind, or is no part of an encoder.
_NOT_OF_OPEN_CLIP = frozenset(name for name in KNOWN_FILES if name.endswith((".safetensors", ".bin", ".index.json")))
_VERSION = 1  # raised with every change of how vectors are made
_PIECE = 1 << 20

Kind = Literal["open_clip", "transformers"]


@dataclass(frozen=True)
class EncoderFolder:
    """An encoder's folder.

    Attributes:
        place: The folder, links resolved.
        kind: How it is loaded.
        files: Everything that may be read of it, by name, links resolved.
        digest: sha256 (hex) of what decides about its vectors: kind, weights, configuration, tokenizer, preprocessing.
        int8: The image tower in whole numbers and what is known of it, where both files are there.
    """

    place: Path
    kind: Kind
    files: Mapping[str, Path]
    digest: str
    int8: tuple[Path, dict[str, Any]] | None


def read_encoder_folder(folder: Path) -> EncoderFolder:
    """Look at a folder; its weights are read once, for the digest.

    Raises:
        FailedPrecondition: It is no complete folder of either kind, or a file in it is a link that leaves it; the error names
            the folder, what is missing and the remedy.
    """
    try:
        place = Path(os.path.realpath(folder))
        kind, files = _files(place)
        int8 = _int8_files(place)
        return EncoderFolder(place, kind, files, _digest(kind, files), int8)
    except InvalidArgument as error:
        raise FailedPrecondition(error.message, field="encoder", value=str(folder), remedy=error.remedy) from None


def sha256_of(place: Path) -> str:
    """The sha256 (hex) of a file."""
    digest = hashlib.sha256()
    with open_regular(place, MOST_WEIGHT_BYTES) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _files(folder: Path) -> tuple[Kind, dict[str, Path]]:
    has = {name for name in (OPEN_CLIP_CONFIG, "config.json") if os.path.lexists(folder / name)}
    weights = [name for name in OPEN_CLIP_WEIGHTS if os.path.lexists(folder / name)]
    if folder.is_dir() and not has:
        what = f"{OPEN_CLIP_CONFIG} (open_clip) or config.json (transformers) is missing"
        raise incomplete(folder, what, "copy the encoder's folder again from its source")
    if OPEN_CLIP_CONFIG in has and (weights or "config.json" not in has):
        return "open_clip", _open_clip_files(folder, weights)
    files = checkpoint_files(folder)
    config = read_json(folder, files, "config.json")
    if not all(isinstance(config.get(part), dict) for part in ("text_config", "vision_config")):
        what = "config.json describes no image tower and text tower (vision_config, text_config)"
        raise incomplete(folder, what, "name a checkpoint of a CLIP or SigLIP model")
    return "transformers", files


def _open_clip_files(folder: Path, weights: list[str]) -> dict[str, Path]:
    if not weights:
        what = f"the weights are missing (one of {', '.join(OPEN_CLIP_WEIGHTS)})"
        raise incomplete(folder, what, "copy the weights into the folder")
    known = sorted({*(KNOWN_FILES - _NOT_OF_OPEN_CLIP), OPEN_CLIP_CONFIG})
    names = [weights[0], *(name for name in known if os.path.lexists(folder / name))]
    files = {name: place_of(folder, name) for name in names}
    model = read_json(folder, files, OPEN_CLIP_CONFIG).get("model_cfg")
    towers = ("text_cfg", "vision_cfg")
    if not isinstance(model, dict) or not all(isinstance(model.get(part), dict) for part in towers):
        what = f"{OPEN_CLIP_CONFIG} describes no image tower and text tower (model_cfg.vision_cfg, model_cfg.text_cfg)"
        raise incomplete(folder, what, "copy the file again from its source")
    if model["text_cfg"].get("hf_tokenizer_name") and files.keys().isdisjoint({*TOKENIZER_FILES, "vocab.txt"}):
        what = f"the tokenizer is missing (one of {', '.join(TOKENIZER_FILES)}, vocab.txt)"
        raise incomplete(folder, what, "copy the tokenizer's files into the folder")
    return files


def _int8_files(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    if not all(os.path.lexists(folder / name) for name in (INT8_TOWER, INT8_FACTS)):
        return None
    files = {name: place_of(folder, name) for name in (INT8_TOWER, INT8_FACTS)}
    return files[INT8_TOWER], read_json(folder, files, INT8_FACTS)


def _digest(kind: Kind, files: Mapping[str, Path]) -> str:
    digest = hashlib.sha256(f"{_VERSION} {kind}".encode())
    for name, place in sorted(files.items()):
        digest.update(f"\0{name}\0{sha256_of(place)}".encode())
    return digest.hexdigest()
