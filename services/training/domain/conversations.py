"""One row of a LLaVA/ShareGPT file as a training sample: one image, one question, one answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import InvalidArgument

IMAGE_PLACEHOLDER = "<image>"


@dataclass(frozen=True)
class Sample:
    """What one training step sees of a row.

    Args:
        sample_id: The row's `id`.
        image: Path of the image, relative to the image folder.
        question: What the model is asked, without the image placeholder.
        answer: What it should answer.
    """

    sample_id: str
    image: str
    question: str
    answer: str


def parse_row(row: Mapping[str, Any], line: int) -> Sample:
    """Read a row of `train.jsonl`.

    Args:
        row: `id`, `image` (or `images` with one path) and `conversations`: one turn from "human" that holds
            `<image>` once, then one from "gpt".
        line: Line number in the file, from 1, for the error.

    Raises:
        InvalidArgument: The row has another shape; the error names its id and line.
    """
    sample_id = str(row.get("id", ""))
    images = row.get("images", [row["image"]] if "image" in row else [])
    turns = row.get("conversations")
    if not isinstance(turns, list) or [_speaker(turn) for turn in turns] != ["human", "gpt"]:
        raise _bad_row(sample_id, line, "its conversation is not one question and one answer")
    if not sample_id or not isinstance(images, list) or len(images) != 1:
        raise _bad_row(sample_id, line, "it has no id, or not exactly one image")
    question, answer = (str(turn["value"]) for turn in turns)
    if question.count(IMAGE_PLACEHOLDER) != 1:
        raise _bad_row(sample_id, line, f"the question does not hold {IMAGE_PLACEHOLDER} exactly once")
    if not answer.strip():
        raise _bad_row(sample_id, line, "the answer is empty")
    return Sample(sample_id, str(images[0]), question.replace(IMAGE_PLACEHOLDER, "").strip(), answer.strip())


def _speaker(turn: object) -> str:
    """Who speaks, or an empty string where the turn has another shape."""
    return str(turn.get("from", "")) if isinstance(turn, Mapping) and "value" in turn else ""


def _bad_row(sample_id: str, line: int, what: str) -> InvalidArgument:
    """The error for a row that cannot be trained on."""
    return InvalidArgument(
        f"Line {line} of the training file cannot be used: {what}",
        field="id",
        value=sample_id,
        remedy="write rows as {id, image, conversations: [{from: human, value}, {from: gpt, value}]}",
    )
