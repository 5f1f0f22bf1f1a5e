"""Tiny checkpoints in the very format of two released families: Qwen2.5-VL, and InternVL3 as transformers has it.

Configuration, processor, special tokens, chat template, sampling habits and the names of the weights are those of the releases;
the numbers in them are small, and the weights are random (bfloat16, in several files). So the loading paths are the real ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    GotOcr2ImageProcessor,
    InternVLProcessor,
    InternVLVideoProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

TEXTS = ["You are a helpful assistant.", "system\n", "user\n", "assistant\n", "Is this image dark?\nA. Yes\nB. No"]
_CHAT = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
_MARKS = ["object_ref_start", "object_ref_end", "box_start", "box_end", "quad_start", "quad_end"]
_QWEN_TOKENS = [*_CHAT, *(f"<|{mark}|>" for mark in [*_MARKS, "vision_start", "vision_end", "vision_pad"])]
_QWEN_TOKENS += ["<|image_pad|>", "<|video_pad|>"]
_INTERNVL_IMAGE = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}
_INTERNVL_TOKENS = [*_QWEN_TOKENS, *_INTERNVL_IMAGE.values(), "<quad>", "</quad>", "<ref>", "</ref>", "<box>", "</box>"]
_TEXT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "initializer_range": 0.2,
    "rms_norm_eps": 1e-6,
}


def build_qwen(folder: Path, seed: int = 0, *, is_tied: bool = False) -> None:
    """Qwen2.5-VL: the flat configuration of the release, images of any size as 4 to 64 tokens.

    Args:
        folder: Where the checkpoint goes.
        seed: Of the weights.
        is_tied: One matrix for words in and words out, as in the 3B model.
    """
    tokenizer = _tokenizer(_QWEN_TOKENS, {})
    size = {"shortest_edge": 4 * 28 * 28, "longest_edge": 64 * 28 * 28}
    Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(size=size),
        tokenizer,
        Qwen2VLVideoProcessor(),
        chat_template=_template("<|vision_start|><|image_pad|><|vision_end|>", "You are a helpful assistant."),
    ).save_pretrained(folder)
    vision = {"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 4, "out_hidden_size": 32}
    vision |= {"fullatt_block_indexes": [1], "window_size": 112, "patch_size": 14, "spatial_patch_size": 14}
    config = {
        **_TEXT,
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "vocab_size": len(tokenizer) + 8,
        "bos_token_id": _id(tokenizer, "<|endoftext|>"),
        "eos_token_id": _id(tokenizer, "<|im_end|>"),
        "vision_start_token_id": _id(tokenizer, "<|vision_start|>"),
        "vision_end_token_id": _id(tokenizer, "<|vision_end|>"),
        "vision_token_id": _id(tokenizer, "<|vision_pad|>"),
        "image_token_id": _id(tokenizer, "<|image_pad|>"),
        "video_token_id": _id(tokenizer, "<|video_pad|>"),
        "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]},
        "rope_theta": 1_000_000.0,
        "sliding_window": 32768,
        "use_sliding_window": False,
        "tie_word_embeddings": is_tied,
        "torch_dtype": "bfloat16",
        "vision_config": vision,
    }
    habits = {"do_sample": True, "repetition_penalty": 1.05, "temperature": 1e-6}
    _write(folder, config, habits, tokenizer, seed)


def build_internvl(folder: Path, seed: int = 0, *, is_tied: bool = True) -> None:
    """InternVL3: an image becomes 1 to 4 tiles of 56 x 56 and, where there are several, a small picture of the whole.

    Args:
        folder: Where the checkpoint goes.
        seed: Of the weights.
        is_tied: One matrix for words in and words out, as in the 1B model; else as in the 8B model.
    """
    tokenizer = _tokenizer(_INTERNVL_TOKENS, _INTERNVL_IMAGE)
    size = {"height": 56, "width": 56}
    InternVLProcessor(
        GotOcr2ImageProcessor(size=size, crop_to_patches=True, min_patches=1, max_patches=4),
        tokenizer,
        InternVLVideoProcessor(size=size),
        image_seq_length=4,
        chat_template=_template("<IMG_CONTEXT>\n", ""),
    ).save_pretrained(folder)
    vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    vision |= {
        "image_size": [56, 56],
        "patch_size": [14, 14],
        "model_type": "internvl_vision",
        "initializer_range": 0.2,
    }
    text = {**_TEXT, "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": len(tokenizer) + 8}
    text |= {"bos_token_id": _id(tokenizer, "<|endoftext|>"), "eos_token_id": _id(tokenizer, "<|im_end|>")}
    config = {
        "architectures": ["InternVLForConditionalGeneration"],
        "model_type": "internvl",
        "downsample_ratio": 0.5,
        "image_seq_length": 4,
        "image_token_id": _id(tokenizer, "<IMG_CONTEXT>"),
        "tie_word_embeddings": is_tied,
        "torch_dtype": "bfloat16",
        "text_config": {**text, "tie_word_embeddings": is_tied},
        "vision_config": vision,
    }
    _write(folder, config, {}, tokenizer, seed)


FAMILIES: dict[str, Callable[..., None]] = {"qwen2.5-vl": build_qwen, "internvl3": build_internvl}


def _write(folder: Path, config: dict[str, Any], habits: dict[str, Any], tokenizer: Any, seed: int) -> None:
    """The configuration as written here, weights in bfloat16 and in several files, and how the release likes to sample."""
    written = json.dumps(config, indent=2)
    (folder / "config.json").write_text(written)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(folder), dtype=torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="40KB")
    (folder / "config.json").write_text(written)
    ends = [_id(tokenizer, "<|im_end|>"), _id(tokenizer, "<|endoftext|>")]
    habits = {"bos_token_id": ends[1], "pad_token_id": ends[1], "eos_token_id": ends, **habits}
    (folder / "generation_config.json").write_text(json.dumps(habits))


def _id(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    return int(tokenizer.convert_tokens_to_ids(token))


def _tokenizer(special_tokens: list[str], image_tokens: dict[str, str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE without a beginning token, as both families have it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special_tokens, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", extra_special_tokens=image_tokens
    )


def _template(image: str, system: str) -> str:
    """A chat template that writes what that of the release writes of such conversations."""
    before = f"<|im_start|>system\n{system}<|im_end|>\n" if system else ""
    return (
        "{% for message in messages %}"
        f"{{% if loop.first and message['role'] != 'system' %}}{before}{{% endif %}}"
        "<|im_start|>{{ message['role'] }}\n"
        "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
        "{% for part in message['content'] %}"
        f"{{% if part['type'] == 'image' %}}{image}{{% elif part['type'] == 'text' %}}{{{{ part['text'] }}}}{{% endif %}}"
        "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
