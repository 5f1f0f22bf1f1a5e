"""Loads a checkpoint of `transformers` with an image and a text tower: CLIP, SigLIP and their like. No program of it is run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, cast

import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from services.embedding.adapters.encoder_folders import EncoderFolder
from services.embedding.adapters.towers import Towers
from services.embedding.ports import Pixels
from shared.checkpoints import incomplete


def load_transformers(folder: EncoderFolder, device: torch.device) -> Towers:
    """Load both towers, in float32.

    Raises:
        InvalidArgument: The model has not both towers.
        Exception: Whatever transformers raises at files that do not fit together.
    """
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    with tempfile.TemporaryDirectory() as name:
        for file, place in folder.files.items():
            (Path(name) / file).symlink_to(place)
        model: Any = AutoModel.from_pretrained(name, dtype=torch.float32, weights_only=True, **local)
        images: Any = AutoImageProcessor.from_pretrained(name, **local)
        tokenizer: Any = AutoTokenizer.from_pretrained(name, **local)
    if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
        what = f"a model of the type {model.config.model_type} has not an image and a text tower"
        raise incomplete(folder.place, what, "name a checkpoint of a CLIP or SigLIP model")
    model = model.eval().requires_grad_(False).to(device)
    longest = model.config.text_config.max_position_embeddings

    def prepare(pixels: Pixels) -> torch.Tensor:
        values: torch.Tensor = images(Image.fromarray(pixels), return_tensors="pt")["pixel_values"]
        return values

    def tokenize(text: str) -> dict[str, torch.Tensor]:
        # Always as long as the tower reads: SigLIP was trained so, and of a CLIP the pad is never looked at.
        tokens = tokenizer(text, padding="max_length", max_length=longest, truncation=True, return_tensors="pt")
        return {name: tokens[name] for name in ("input_ids", "attention_mask") if name in tokens}

    scale = float(model.logit_scale.exp()) if hasattr(model, "logit_scale") else None
    image_tower, text_tower = _Tower(model, "get_image_features"), _Tower(model, "get_text_features")
    return Towers(prepare, image_tower, tokenize, text_tower, device, scale)


class _Tower(torch.nn.Module):
    """One tower of a model, called as a module."""

    def __init__(self, model: torch.nn.Module, method: str) -> None:
        super().__init__()
        self.model = model
        self.method = method

    def forward(self, *inputs: torch.Tensor, **named: torch.Tensor) -> torch.Tensor:
        """What the method takes, to (1, d)."""
        found = getattr(self.model, self.method)(*inputs, **named)
        return cast("torch.Tensor", getattr(found, "pooler_output", found))
