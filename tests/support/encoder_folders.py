"""Tiny encoders of random weights, saved as real ones are published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertTokenizerFast,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
)

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "is",
    "there",
    "motion",
    "noise",
    "blur",
    "a",
    "of",
    "an",
    "mri",
    "?",
]
#: As BiomedCLIP's configuration has them.
PREPROCESS = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}


def save_open_clip(folder: Path, seed: int = 0, has_text_config: bool = False) -> Path:
    """As BiomedCLIP: a tower of timm and a BERT, weights in `open_clip_pytorch_model.bin`, a word-piece tokenizer.

    Args:
        folder: Made here.
        seed: Of the weights.
        has_text_config: Whether the text tower's `config.json` lies there; BiomedCLIP's names a place on a hub instead.
    """
    folder.mkdir(parents=True)
    bert = BertConfig(
        vocab_size=len(WORDS), hidden_size=64, num_hidden_layers=2, num_attention_heads=1, intermediate_size=96,
        max_position_embeddings=32,
    )  # fmt: skip
    hub = "example/a-bert-that-is-not-here"
    model_cfg: dict[str, Any] = {
        "embed_dim": 24,
        "vision_cfg": {
            "timm_model_name": "test_vit",
            "timm_model_pretrained": False,
            "timm_pool": "",
            "timm_proj": "linear",
            "image_size": 160,
        },
        "text_cfg": {
            "hf_model_name": hub,
            "hf_tokenizer_name": hub,
            "hf_proj_type": "mlp",
            "hf_pooler_type": "cls_last_hidden_state_pooler",
            "context_length": 16,
        },
    }
    config = {"model_cfg": model_cfg, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    bert.save_pretrained(folder)
    torch.manual_seed(seed)
    made = json.loads(json.dumps(model_cfg))
    made["text_cfg"] |= {"hf_model_name": str(folder), "hf_model_pretrained": False}
    model = open_clip.CustomTextCLIP(**made)
    places = {
        "text.transformer.embeddings.position_ids": torch.arange(32)[None]
    }  # of older releases; BiomedCLIP has it
    torch.save(model.state_dict() | places, folder / "open_clip_pytorch_model.bin")
    if not has_text_config:
        (folder / "config.json").unlink()
    return folder


def save_clip(folder: Path) -> Path:
    """A CLIP of `transformers`: `model.safetensors`, tokenizer, image processor."""
    text = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48,
            "vocab_size": len(WORDS), "max_position_embeddings": 16, "bos_token_id": 2, "eos_token_id": 3}  # fmt: skip
    vision = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48,
              "image_size": 32, "patch_size": 8}  # fmt: skip
    torch.manual_seed(1)
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=20)).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    _word_tokenizer().save_pretrained(folder)
    return folder


def save_siglip(folder: Path) -> Path:
    """A SigLIP of `transformers`."""
    text = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48,
            "vocab_size": len(WORDS), "max_position_embeddings": 16, "bos_token_id": 2, "eos_token_id": 3}  # fmt: skip
    vision = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48,
              "image_size": 32, "patch_size": 8}  # fmt: skip
    torch.manual_seed(2)
    SiglipModel(SiglipConfig(text_config=text, vision_config=vision)).save_pretrained(folder)
    SiglipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    _word_tokenizer().save_pretrained(folder)
    return folder


def _word_tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", bos_token="[CLS]", eos_token="[SEP]"
    )
