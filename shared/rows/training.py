"""Kinds `dataset` and `model`: what is trained on, where each sample comes from, and how a training went."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from shared.rows.fields import Count, ImageId, Label, ObjectUri, Row, SourceId

SampleKind = Annotated[Literal["new", "replay"], Meta(description="from a decision, or replayed against forgetting")]
TrainingSampleId = Annotated[str, Meta(description="unique in the dataset", min_length=1)]


class Turn(Row):
    """One turn of a conversation."""

    speaker: Literal["human", "gpt"] = field(name="from")
    value: str


class Conversation(Row):
    """A sample as LLaVA, ShareGPT and LLaMA-Factory read it: one question that holds `<image>` once, one answer."""

    id: TrainingSampleId
    images: Annotated[
        tuple[str, ...], Meta(description="one path, relative to the dataset", min_length=1, max_length=1)
    ]
    conversations: Annotated[tuple[Turn, ...], Meta(min_length=2, max_length=2)]


class Lineage(Row):
    """Where a sample comes from; what is optional stands in samples of kind `new`, `item_id` in those of `replay`."""

    id: TrainingSampleId
    kind: SampleKind
    image_id: ImageId
    image_uri: ObjectUri
    modality: Label
    source_id: SourceId
    decision_id: str | None = None
    sample_id: str | None = None
    prototype_id: str | None = None
    capability: str | None = None
    route: str | None = None
    simulated: bool | None = None
    item_id: str | None = None
    question_type: Annotated[
        Label | None, Meta(description="`description`, or of a question with options; unknown in datasets of before")
    ] = None
    learned_in: Annotated[
        int | None, Meta(description="the earlier round that learned it first, where it is trained on again")
    ] = None


class Dropped(Row):
    """A sample that was left out, and why."""

    id: TrainingSampleId
    kind: SampleKind
    image_id: ImageId
    reason: str
    detail: Annotated[str, Meta(description='such as the sample or image that it repeats; "" for none')]


class LossPoint(Row):
    """A logged step of a training."""

    step: Count
    loss: Annotated[float, Meta(description="nats")]
    learning_rate: Annotated[float, Meta(ge=0)]


class Training(Row):
    """How a training went."""

    n_samples: Count
    longest_sample_tokens: Count
    n_parameters: Count
    n_trainable: Count
    n_steps: Annotated[int, Meta(ge=0, description="optimiser steps")]
    loss_curve: tuple[LossPoint, ...]
    settings: Annotated[dict[str, Any], Meta(description="the optimisation as it was asked for")]
