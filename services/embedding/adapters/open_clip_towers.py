"""Loads a folder of open_clip, as BiomedCLIP is published: `open_clip_config.json`, weights, the tokenizer's files.

Nothing is fetched. The published configuration names the text tower's architecture by a place on a hub; its `config.json` may lie
in the folder, else it is read off the weights where they are those of a BERT.
"""

from __future__ import annotations

import json
import logging
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import open_clip
import torch
from open_clip.hf_configs import arch_dict
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from services.embedding.adapters.encoder_folders import OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS, EncoderFolder
from services.embedding.adapters.towers import Towers
from services.embedding.ports import Pixels
from shared.checkpoints import incomplete, read_json

_ARCHITECTURE = re.compile(r"[A-Za-z0-9_.-]{1,100}")  # a name that timm knows; `hf-hub:...` would ask a hub
_TOKENIZER_OPTIONS = frozenset({"clean", "strip_sep_token"})
_BERT = "text.transformer."
_BERT_HEAD = 64  # numbers a head, in every published BERT


def load_open_clip(folder: EncoderFolder, device: torch.device) -> Towers:
    """Load both towers, in float32.

    Raises:
        InvalidArgument: The configuration asks for what is not in the folder.
        Exception: Whatever open_clip raises at files that do not fit together.
    """
    model_cfg = _local(folder)
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        for file, place in folder.files.items():
            if file not in (OPEN_CLIP_CONFIG, "config.json"):
                (copy / file).symlink_to(place)
        text = model_cfg["text_cfg"]
        if "hf_model_name" in text:
            (copy / "config.json").write_text(json.dumps(_text_tower(folder)))
            text["hf_model_name"] = str(copy)
        if text.get("hf_tokenizer_name"):
            text["hf_tokenizer_name"] = str(copy)
        preprocess = read_json(folder.place, folder.files, OPEN_CLIP_CONFIG).get("preprocess_cfg", {})
        (copy / OPEN_CLIP_CONFIG).write_text(json.dumps({"model_cfg": model_cfg, "preprocess_cfg": preprocess}))
        logging.getLogger("timm").setLevel(logging.ERROR)
        model: Any = open_clip.create_model(f"local-dir:{copy}", require_pretrained=True, weights_only=True)
        tokenizer = open_clip.get_tokenizer(f"local-dir:{copy}")
    model = model.eval().requires_grad_(False).to(device)
    transform: Any = image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)

    def prepare(pixels: Pixels) -> torch.Tensor:
        values: torch.Tensor = transform(Image.fromarray(pixels))
        return values[None]

    def tokenize(text: str) -> dict[str, torch.Tensor]:
        return {"text": tokenizer([text])}

    return Towers(prepare, model.visual, tokenize, _Text(model), device, float(model.logit_scale.exp()))


class _Text(torch.nn.Module):
    """The text tower alone; in a plain CLIP it is no module of its own."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        """(1, n) tokens to (1, d)."""
        return cast("torch.Tensor", cast("Any", self.model).encode_text(text))


def _local(folder: EncoderFolder) -> dict[str, Any]:
    """The model's configuration, without whatever would fetch something or run a program."""
    model = dict(read_json(folder.place, folder.files, OPEN_CLIP_CONFIG)["model_cfg"])
    vision, text = dict(model["vision_cfg"]), dict(model["text_cfg"])
    name = vision.get("timm_model_name")
    if name is not None and not (isinstance(name, str) and _ARCHITECTURE.fullmatch(name)):
        what = f"{OPEN_CLIP_CONFIG} names an image tower that is not one of timm's by name"
        raise incomplete(folder.place, what, "name an architecture of timm in model_cfg.vision_cfg.timm_model_name")
    options = text.get("tokenizer_kwargs") or {}
    if not isinstance(options, dict) or not options.keys() <= _TOKENIZER_OPTIONS:
        what = f"{OPEN_CLIP_CONFIG} has options of the tokenizer that are not known"
        raise incomplete(folder.place, what, f"leave in tokenizer_kwargs only {', '.join(sorted(_TOKENIZER_OPTIONS))}")
    vision.pop("timm_model_pretrained", None)
    text.pop("hf_model_pretrained", None)
    text["tokenizer_kwargs"] = options
    return {**model, "vision_cfg": vision, "text_cfg": text}


def _text_tower(folder: EncoderFolder) -> dict[str, Any]:
    """The architecture of a text tower of `transformers`: out of the folder's `config.json`, else off the weights of a BERT."""
    if "config.json" in folder.files:
        config = read_json(folder.place, folder.files, "config.json")
        if config.get("model_type") in arch_dict:
            return {name: value for name, value in config.items() if name != "auto_map"}
    found = _bert_of(_shapes(folder))
    if found is None:
        what = "config.json of the text tower is missing, and its architecture cannot be read off the weights"
        raise incomplete(
            folder.place, what, "copy the config.json of the model that hf_model_name names into the folder"
        )
    return found


def _shapes(folder: EncoderFolder) -> dict[str, tuple[int, ...]]:
    weights = next(folder.files[name] for name in OPEN_CLIP_WEIGHTS if name in folder.files)
    tensors = open_clip.factory.load_state_dict(str(weights), weights_only=True)
    return {name: tuple(value.shape) for name, value in tensors.items()}


def _bert_of(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
    """The configuration of the BERT that has weights of these shapes; None where they are not those of one."""
    words, places, types, inner = (
        shapes.get(_BERT + name, ())
        for name in (
            "embeddings.word_embeddings.weight",
            "embeddings.position_embeddings.weight",
            "embeddings.token_type_embeddings.weight",
            "encoder.layer.0.intermediate.dense.weight",
        )
    )
    is_bert = all(len(shape) == 2 for shape in (words, places, types, inner)) and types[0] == 2
    if not is_bert or words[1] % _BERT_HEAD:  # two sorts of segments: a RoBERTa has one
        return None
    layers = {name.removeprefix(_BERT).split(".")[2] for name in shapes if name.startswith(_BERT + "encoder.layer.")}
    return {
        "model_type": "bert",
        "vocab_size": words[0],
        "hidden_size": words[1],
        "num_hidden_layers": len(layers),
        "num_attention_heads": words[1] // _BERT_HEAD,
        "intermediate_size": inner[0],
        "max_position_embeddings": places[0],
        "type_vocab_size": types[0],
    }
