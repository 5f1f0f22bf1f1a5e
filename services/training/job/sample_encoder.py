"""From conversations of a training file to batches of tensors, by the model's own processor and chat template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from services.training.domain.conversations import Sample, sample_of
from services.training.domain.loss import IGNORED
from shared.checkpoints import exchange, user_prompt
from shared.errors import FailedPrecondition, InvalidArgument
from shared.rows.encoding import from_lines
from shared.rows.training import Conversation

CACHED_EXCHANGES = 10_000
"""Rendered questions with answers that are kept; the same few recur in a study."""


def read_samples(train_file: Path) -> list[Sample]:
    """The conversations of a LLaVA/ShareGPT file, in order.

    Raises:
        FailedPrecondition: There are none.
        InvalidArgument: One cannot be trained on.
    """
    with train_file.open("rb") as lines:
        samples = [sample_of(row) for row in from_lines(lines, Conversation, train_file.name)]
    if not samples:
        remedy = "Raise the annotation budget, or loosen the filters of the dataset."
        raise FailedPrecondition("There is nothing to train on.", field="train_file", remedy=remedy)
    return samples


@dataclass(frozen=True)
class Longest:
    """The most of each that any sample has.

    Attributes:
        tokens: Of a whole sample, image tokens included.
        image_tokens: Of its image.
        answer_tokens: Of its answer, end token included.
    """

    tokens: int
    image_tokens: int
    answer_tokens: int


class SampleEncoder:
    """Turns samples into a batch: prompts padded on the left, answers on the right, so that answers begin together.

    Positions are counted from the left end, padding included: exact for models with relative (rotary) positions.

    Args:
        processor: The model's processor.
        image_folder: What the image paths of the samples are relative to.
    """

    def __init__(self, processor: Any, image_folder: Path) -> None:
        self._processor = processor
        self._tokenizer = processor.tokenizer
        self._tokenizer.padding_side = "left"
        self._image_folder = image_folder
        self._image_tokens = lru_cache(maxsize=None)(self._count_image_tokens)
        self._exchange = lru_cache(maxsize=CACHED_EXCHANGES)(self._render)

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """Encode a batch.

        Returns: The processor's tensors over prompt and answer, `labels` (b, a + 1) int64 for the last a + 1
            positions (a: tokens of the longest answer), and `logits_to_keep` = a + 1, so that the model computes
            logits for no other position.
        """
        inputs = self._processor(
            text=[self._exchange(sample.question, sample.answer)[0] for sample in samples],
            images=[[self._open(sample)] for sample in samples],
            return_tensors="pt",
            padding=True,
        )
        answers = [self._exchange(sample.question, sample.answer)[1] for sample in samples]
        length = max(len(answer) for answer in answers)
        padding = int(self._tokenizer.pad_token_id or 0)
        tokens = torch.tensor([answer + [padding] * (length - len(answer)) for answer in answers])
        is_answer = torch.tensor([[1] * len(answer) + [0] * (length - len(answer)) for answer in answers])
        shape = inputs["input_ids"].shape
        added = {"input_ids": tokens, "attention_mask": is_answer}
        batch: dict[str, Any] = {
            name: torch.cat([value, added.get(name, torch.zeros_like(tokens))], dim=1)
            if value.shape == shape
            else value
            for name, value in inputs.items()
        }
        first = torch.full((len(samples), 1), IGNORED)
        batch["labels"] = torch.cat([first, tokens.masked_fill(is_answer == 0, IGNORED)], dim=1)
        batch["logits_to_keep"] = length + 1
        return batch

    def check_lengths(self, samples: Sequence[Sample], max_length: int) -> Longest:
        """Check each sample before anything is trained on.

        Args:
            samples: All of them, at least one.
            max_length: Most tokens, image tokens included.

        Returns: The most tokens of a sample, of an image and of an answer.

        Raises:
            InvalidArgument: An image cannot be read or has no place in the model, or a sample is too long; the error names the
                sample.
        """
        counts = []
        for sample in samples:
            prompt, answer = self._exchange(sample.question, sample.answer)
            n_image = self._tokens_of_image(sample)
            length = len(self._tokens(prompt)) + n_image + len(answer)
            if length > max_length:
                raise InvalidArgument(
                    f"A training sample has {length} tokens, more than max_length = {max_length}.",
                    field="id",
                    value=sample.sample_id,
                    remedy="Raise max_length, use smaller images, or leave the sample out.",
                )
            counts.append((length, n_image, len(answer)))
        return Longest(*(max(column) for column in zip(*counts, strict=True)))

    def _tokens_of_image(self, sample: Sample) -> int:
        """How many tokens the image of a sample adds."""
        size = self._image_size(sample)
        try:
            return self._image_tokens(size)
        except ValueError as error:  # Qwen2.5-VL: one side is more than 200 times as long as the other
            raise InvalidArgument(
                f"The model takes no image of {size[0]} x {size[1]} pixels.",
                field="id",
                value=sample.sample_id,
                remedy="Leave the sample out, or crop its image.",
            ) from error

    def _count_image_tokens(self, size: tuple[int, int]) -> int:
        """How many tokens an image of (width, height) adds to the text that holds its placeholder."""
        text = user_prompt(self._processor, "")
        blank = np.zeros((size[1], size[0], 3), dtype=np.uint8)
        expanded = self._processor(text=[text], images=[[blank]], return_tensors="pt")["input_ids"]
        return int(expanded.shape[1]) - len(self._tokens(text))

    def _render(self, question: str, answer: str) -> tuple[str, list[int]]:
        """The prompt's text, and the answer's tokens as the chat template ends it: with the end-of-turn token."""
        prompt, reply = exchange(self._processor, question, answer)
        return prompt, self._tokens(reply)

    def _tokens(self, text: str) -> list[int]:
        """Token ids without additions."""
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _image_size(self, sample: Sample) -> tuple[int, int]:
        """(width, height) from the file's header."""
        try:
            with Image.open(self._image_folder / sample.image) as image:
                return image.size
        except (OSError, UnidentifiedImageError) as error:
            raise _unreadable(sample) from error

    def _open(self, sample: Sample) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """(height, width, 3) uint8."""
        try:
            with Image.open(self._image_folder / sample.image) as image:
                return np.array(image.convert("RGB"))
        except (OSError, UnidentifiedImageError) as error:
            raise _unreadable(sample) from error


def _unreadable(sample: Sample) -> InvalidArgument:
    """The error for an image that is not there or broken."""
    remedy = "Check the image folder, or leave the sample out."
    return InvalidArgument(
        "The image of a training sample cannot be read.", field="id", value=sample.sample_id, remedy=remedy
    )
