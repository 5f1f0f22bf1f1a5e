"""The sizes of two families of vision-language models, as the configurations of their releases state them, and tiny ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TEXT = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
_INTERNVL_VISION = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
_QWEN_VISION = ("hidden_size", "intermediate_size", "depth", "num_heads", "out_hidden_size")


@dataclass(frozen=True)
class Size:
    """The sizes of a model.

    Attributes:
        text, vision: Entries of `text_config` and `vision_config`.
        is_tied: One matrix for words in and words out.
        vocabulary: Rows of that matrix; 0: as the tokenizer has it, and a few more.
        rotated: Parts of a head that turn with time, height and width (Qwen).
        tile: Side of a tile in pixels (InternVL).
        most_tiles: Most tiles of an image (InternVL).
        image_tokens: Fewest and most tokens of an image (Qwen).
    """

    text: Mapping[str, Any]
    vision: Mapping[str, Any]
    is_tied: bool
    vocabulary: int = 0
    rotated: tuple[int, ...] = (16, 24, 24)
    tile: int = 448
    most_tiles: int = 12
    image_tokens: tuple[int, int] = (4, 1280)


def _named(names: tuple[str, ...], *sizes: int, **others: Any) -> dict[str, Any]:
    return dict(zip(names, sizes, strict=True)) | others


_TINY_TEXT = _named(_TEXT, 32, 48, 2, 4, 2, initializer_range=0.2, max_position_embeddings=2048)
_TINY_IMAGE: dict[str, Any] = {"rotated": (1, 1, 2), "tile": 56, "most_tiles": 4, "image_tokens": (4, 64)}
_INTERN_VIT = _named(_INTERNVL_VISION, 1024, 4096, 24, 16, attention_bias=True)


def _internvl(text: tuple[int, ...]) -> tuple[str, Size]:
    long = _named(_TEXT, *text, max_position_embeddings=32_768)
    return "internvl3", Size(long, _INTERN_VIT, is_tied=False, vocabulary=151_674)


def _qwen(text: tuple[int, ...], vocabulary: int, *, is_tied: bool) -> tuple[str, Size]:
    vision = _named(_QWEN_VISION, 1280, 3420, 32, 16, text[0], fullatt_block_indexes=[7, 15, 23, 31])
    return "qwen2.5-vl", Size(_named(_TEXT, *text, max_position_embeddings=128_000), vision, is_tied, vocabulary)


TINY = {
    "internvl3": Size(
        _TINY_TEXT, _named(_INTERNVL_VISION, 32, 48, 2, 4, initializer_range=0.2), is_tied=True, **_TINY_IMAGE
    ),
    "qwen2.5-vl": Size(
        _TINY_TEXT, _named(_QWEN_VISION, 32, 48, 2, 4, 32, fullatt_block_indexes=[1]), is_tied=False, **_TINY_IMAGE
    ),
}
"""By family."""
RELEASED = {
    "InternVL3 1B": _internvl((896, 4864, 24, 14, 2)),
    "InternVL3 8B": _internvl((3584, 18_944, 28, 28, 4)),
    "Qwen2.5-VL 3B": _qwen((2048, 11_008, 36, 16, 2), 151_936, is_tied=True),
    "Qwen2.5-VL 7B": _qwen((3584, 18_944, 28, 28, 4), 152_064, is_tied=False),
}
"""Family and sizes by name."""
