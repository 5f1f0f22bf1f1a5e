"""Checkpoints in the very format of two released families with random weights: Qwen2.5-VL, and InternVL3 as transformers has it.

Configuration, processor, special tokens, chat template, sampling habits and the names of the weights are those of the releases;
the sizes are tiny unless those of a release are asked for. Weights are bfloat16, in several files. So the loading paths are real.
"""

from __future__ import annotations

import json
from pathlib import Path

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

from studies.released_sizes import TINY, Size

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
_QWEN_HABITS = {"do_sample": True, "repetition_penalty": 1.05, "temperature": 1e-6}
_INTERNVL_TOKENS = [*_QWEN_TOKENS, *_INTERNVL_IMAGE.values(), "<quad>", "</quad>", "<ref>", "</ref>", "<box>", "</box>"]


def build_checkpoint(
    family: str, folder: Path, seed: int = 0, size: Size | None = None, *, has_weights: bool = True
) -> None:
    """Write a checkpoint with random weights.

    Args:
        family: `qwen2.5-vl` or `internvl3`.
        folder: Where it goes; made if it does not exist.
        seed: Of the weights.
        size: Of the model; by default the tiny one of the family.
        has_weights: Else all the rest alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    size = size or TINY[family]
    tokenizer = _qwen(folder, size) if family == "qwen2.5-vl" else _internvl(folder, size)
    if has_weights:
        _write_weights(folder, seed)
    ends = [_id(tokenizer, "<|im_end|>"), _id(tokenizer, "<|endoftext|>")]
    habits = {"bos_token_id": ends[1], "pad_token_id": ends[1], "eos_token_id": ends}
    habits |= _QWEN_HABITS if family == "qwen2.5-vl" else {}
    (folder / "generation_config.json").write_text(json.dumps(habits))


def _qwen(folder: Path, size: Size) -> PreTrainedTokenizerFast:
    """The flat configuration of the release."""
    tokenizer = _tokenizer(_QWEN_TOKENS, {})
    least, most = (n * 28 * 28 for n in size.image_tokens)
    Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(size={"shortest_edge": least, "longest_edge": most}),
        tokenizer,
        Qwen2VLVideoProcessor(),
        chat_template=_template("<|vision_start|><|image_pad|><|vision_end|>", "You are a helpful assistant."),
    ).save_pretrained(folder)
    config = {
        **size.text,
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "vocab_size": size.vocabulary or len(tokenizer) + 8,
        "bos_token_id": _id(tokenizer, "<|endoftext|>"),
        "eos_token_id": _id(tokenizer, "<|im_end|>"),
        "vision_start_token_id": _id(tokenizer, "<|vision_start|>"),
        "vision_end_token_id": _id(tokenizer, "<|vision_end|>"),
        "vision_token_id": _id(tokenizer, "<|vision_pad|>"),
        "image_token_id": _id(tokenizer, "<|image_pad|>"),
        "video_token_id": _id(tokenizer, "<|video_pad|>"),
        "rms_norm_eps": 1e-6,
        "rope_scaling": {"type": "mrope", "mrope_section": list(size.rotated)},
        "rope_theta": 1_000_000.0,
        "sliding_window": 32768,
        "use_sliding_window": False,
        "tie_word_embeddings": size.is_tied,
        "torch_dtype": "bfloat16",
        "vision_config": {**size.vision, "window_size": 112, "patch_size": 14, "spatial_patch_size": 14},
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    return tokenizer


def _internvl(folder: Path, size: Size) -> PreTrainedTokenizerFast:
    """An image becomes tiles and, where there are several, a small picture of the whole."""
    tokenizer = _tokenizer(_INTERNVL_TOKENS, _INTERNVL_IMAGE)
    tile, n_tokens = {"height": size.tile, "width": size.tile}, (size.tile // 28) ** 2
    InternVLProcessor(
        GotOcr2ImageProcessor(size=tile, crop_to_patches=True, min_patches=1, max_patches=size.most_tiles),
        tokenizer,
        InternVLVideoProcessor(size=tile),
        image_seq_length=n_tokens,
        chat_template=_template("<IMG_CONTEXT>\n", ""),
    ).save_pretrained(folder)
    text = {
        **size.text,
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "vocab_size": size.vocabulary or len(tokenizer) + 8,
        "bos_token_id": _id(tokenizer, "<|endoftext|>"),
        "eos_token_id": _id(tokenizer, "<|im_end|>"),
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        "tie_word_embeddings": size.is_tied,
    }
    sides = {"image_size": [size.tile, size.tile], "patch_size": [14, 14]}
    config = {
        "architectures": ["InternVLForConditionalGeneration"],
        "model_type": "internvl",
        "downsample_ratio": 0.5,
        "image_seq_length": n_tokens,
        "image_token_id": _id(tokenizer, "<IMG_CONTEXT>"),
        "tie_word_embeddings": size.is_tied,
        "torch_dtype": "bfloat16",
        "text_config": text,
        "vision_config": {**size.vision, **sides, "model_type": "internvl_vision"},
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    return tokenizer


def _write_weights(folder: Path, seed: int) -> None:
    """In bfloat16 and in several files, beside the configuration as it was written."""
    written = (folder / "config.json").read_text()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(folder), dtype=torch.bfloat16)
    n_bytes = sum(parameter.numel() * 2 for parameter in model.parameters())
    model.save_pretrained(folder, max_shard_size=n_bytes // 4)
    (folder / "config.json").write_text(written)


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
