"""A conversation of a LLaVA/ShareGPT file as a training sample: one image, one question, one answer."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import InvalidArgument
from shared.rows.training import Conversation

IMAGE_PLACEHOLDER = "<image>"


@dataclass(frozen=True)
class Sample:
    """What one training step sees of a conversation.

    Args:
        sample_id: The conversation's `id`.
        image: Path of the image, relative to the image folder.
        question: What the model is asked, without the image placeholder.
        answer: What it should answer.
    """

    sample_id: str
    image: str
    question: str
    answer: str


def sample_of(row: Conversation) -> Sample:
    """What is trained on of a row of `train.jsonl`: one turn from "human" that holds `<image>` once, then one from "gpt".

    Raises:
        InvalidArgument: The turns are others; the error names the row.
    """
    question, answer = row.conversations
    if (question.speaker, answer.speaker) != ("human", "gpt"):
        raise _bad_row(row, "its conversation is not a question of a human and an answer of gpt")
    if question.value.count(IMAGE_PLACEHOLDER) != 1:
        raise _bad_row(row, f"its question does not hold {IMAGE_PLACEHOLDER} exactly once")
    if not answer.value.strip():
        raise _bad_row(row, "its answer is empty")
    text = question.value.replace(IMAGE_PLACEHOLDER, "").strip()
    return Sample(row.id, row.images[0], text, answer.value.strip())


def _bad_row(row: Conversation, what: str) -> InvalidArgument:
    return InvalidArgument(
        f"A row of the training file cannot be used: {what}.",
        field="id",
        value=row.id,
        remedy="Write rows as {id, images: [path], conversations: [{from: human, value}, {from: gpt, value}]}.",
    )
