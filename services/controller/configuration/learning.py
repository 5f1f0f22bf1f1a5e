"""The sections of a run's file about learning: how a dataset version is built, and how the model is trained on it."""

from __future__ import annotations

from pydantic import Field

from services.controller.configuration.choices import Loss
from services.controller.configuration.section import Section, Share
from shared.limits import MOST_IN_A_BATCH, MOST_SAMPLES, MOST_STEPS
from shared.perceptual_hash import MAX_DISTANCE


class BuildSection(Section):
    """Quality assurance and the dataset version."""

    phash_distance: int = Field(
        2,
        ge=0,
        le=MAX_DISTANCE,
        description="Ours: perceptual hashes at this Hamming distance or nearer are one image.",
    )
    twin_similarity: Share = Field(
        0.6,
        description="Ours: similarity of structure hashes from which on images are degraded twins; 0: not looked for.",
    )
    tfidf_threshold: float = Field(
        0.95, gt=0, le=1, description="Ours: TF-IDF cosine at or above which two texts are one."
    )
    replay_ratio: float = Field(1.0, ge=0, le=100, description="Ours: replayed samples per new sample.")
    total_samples: int | None = Field(
        None,
        ge=1,
        le=MOST_SAMPLES,
        description="Ours: samples of a round's training set: replay fills up what new ones leave; null: replay_ratio decides.",
    )
    replay_earlier: bool = Field(
        False, description="Ours: what the arm learned in earlier rounds is trained on again, all of it."
    )
    quality_assurance: bool = Field(
        True, description="Paper: filter duplicates; the leakage gate stays on when this is false."
    )


class TrainSection(Section):
    """Full-parameter fine-tuning, Eq. (4): `batch_size * gradient_accumulation` samples a step on any number of devices."""

    learning_rate: float = Field(2e-5, gt=0, le=1, description="Paper: peak learning rate of AdamW, cosine schedule.")
    epochs: int = Field(3, ge=1, le=1000, description="Paper: passes over the data.")
    steps: int | None = Field(
        None,
        ge=1,
        le=MOST_STEPS,
        description="Ours: optimiser steps of a round, in place of epochs; null: epochs decides.",
    )
    batch_size: int = Field(
        16, ge=1, le=MOST_IN_A_BATCH, description="Ours: most samples of one forward pass on a device."
    )
    gradient_accumulation: int = Field(
        1, ge=1, le=MOST_IN_A_BATCH, description="Ours: forward passes of a step, shared by the devices."
    )
    loss: Loss = Field("token_mean", description="Ours: reduction of the loss; sample_sum is Eq. (4) as printed.")
    warmup_ratio: float = Field(0.03, ge=0, le=0.99, description="Ours: share of the steps with rising learning rate.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="Ours: decoupled weight decay.")
    max_length: int = Field(
        0, ge=0, le=10_000_000, description="Ours: longest sample in tokens; 0 is the model's own limit."
    )
