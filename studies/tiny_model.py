"""A tiny vision-language checkpoint of a real architecture (InternVL over Qwen2), made from a seed.

The folder is an ordinary Hugging Face checkpoint: `AutoProcessor` and `AutoModelForImageTextToText` load it
offline, and nothing that uses it knows that it is small. It knows nothing of questions or degradations: its
weights are random until they are trained. The same texts and seed give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GotOcr2ImageProcessor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVideoProcessor,
    InternVLVisionConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

PATCH_SIZE = 16
HIDDEN_SIZE = 96
N_VISION_LAYERS = 3
N_TEXT_LAYERS = 2
DOWNSAMPLE_RATIO = 0.5
VOCABULARY_SIZE = 1024
VISION_INITIAL_RANGE = 0.2
TEXT_INITIAL_RANGE = 0.1
"""Standard deviations of the first weights: the usual 0.02 is for widths of a thousand, and starves one of 96."""
END_OF_TURN = "<|im_end|>"
PADDING = "<|endoftext|>"
IMAGE_TOKENS = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}
SPECIAL_TOKENS = [PADDING, "<|im_start|>", END_OF_TURN, *IMAGE_TOKENS.values()]
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<IMG_CONTEXT>"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_tiny_checkpoint(folder: Path, texts: Sequence[str], seed: int, image_size: int = 96) -> None:
    """Write a randomly initialised checkpoint of about 0.6 million parameters.

    Args:
        folder: Where the checkpoint goes; made if it does not exist, files of the same names are replaced.
        texts: What the tokenizer is trained on: questions, options and answers. Any other text can be encoded
            too, byte by byte where no longer piece is known.
        seed: Seed of the weights.
        image_size: Side of the square that every image is resized to, in pixels; a multiple of 32.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(texts)
    _processor(tokenizer, image_size).save_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = InternVLForConditionalGeneration(_config(tokenizer, image_size))
    model.save_pretrained(folder)


def image_sequence_length(image_size: int) -> int:
    """Number of image tokens of one image after the pixel shuffle."""
    return int((image_size // PATCH_SIZE) ** 2 * DOWNSAMPLE_RATIO**2)


def _tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE over `texts`: a frequent word is one token, any other text falls back to bytes."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    template_words = ["user\n", "assistant\n"]
    tokenizer.train_from_iterator([*template_words, *sorted(texts)], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TURN,
        pad_token=PADDING,
        extra_special_tokens=IMAGE_TOKENS,
        model_input_names=["input_ids", "attention_mask"],
        padding_side="left",
    )


def _processor(tokenizer: PreTrainedTokenizerFast, image_size: int) -> InternVLProcessor:
    """One tile an image: resized, never cut into patches of several resolutions."""
    size = {"height": image_size, "width": image_size}
    return InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(size=size, crop_to_patches=False, min_patches=1, max_patches=1),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(size=size),
        image_seq_length=image_sequence_length(image_size),
        chat_template=CHAT_TEMPLATE,
    )


def _config(tokenizer: PreTrainedTokenizerFast, image_size: int) -> InternVLConfig:
    """The sizes of the tiny model."""
    vision = InternVLVisionConfig(
        hidden_size=HIDDEN_SIZE,
        num_hidden_layers=N_VISION_LAYERS,
        num_attention_heads=4,
        intermediate_size=2 * HIDDEN_SIZE,
        initializer_range=VISION_INITIAL_RANGE,
        image_size=[image_size, image_size],
        patch_size=[PATCH_SIZE, PATCH_SIZE],
        layer_scale_init_value=1.0,
    )
    text = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN_SIZE,
        num_hidden_layers=N_TEXT_LAYERS,
        num_attention_heads=4,
        num_key_value_heads=4,
        initializer_range=TEXT_INITIAL_RANGE,
        intermediate_size=2 * HIDDEN_SIZE,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    return InternVLConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.context_image_token_id,
        image_seq_length=image_sequence_length(image_size),
        downsample_ratio=DOWNSAMPLE_RATIO,
    )
