"""Rows of a training dataset: LLaVA/ShareGPT samples, their lineage, and what was left out. Knows no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.training.domain.conversations import IMAGE_PLACEHOLDER
from shared.prompts import multiple_choice_prompt

NEW, REPLAY = "new", "replay"


@dataclass(frozen=True)
class TrainingSample:
    """One question with its answer, and where it comes from.

    Attributes:
        sample_id: Unique in the dataset.
        kind: "new" from a decision, or "replay".
        image_id: sha256 (hex) of the PNG.
        image_uri: `sha256:<hex>` of the PNG.
        question: The question.
        options: Letter to text, in the order given.
        answer: A letter of the options.
        lineage: What else is known of its origin.
    """

    sample_id: str
    kind: str
    image_id: str
    image_uri: str
    question: str
    options: Mapping[str, str]
    answer: str
    lineage: Mapping[str, Any]

    @property
    def image_name(self) -> str:
        """The image's file in the dataset."""
        return f"images/{self.image_id}.png"

    @property
    def text(self) -> str:
        """Question and answer as one text, for the comparison of texts."""
        return f"{self.question}\n{self.options[self.answer]}"


def from_decision(row: Mapping[str, Any]) -> TrainingSample:
    """The sample of a row of `decisions.jsonl`."""
    names = ("sample_id", "prototype_id", "capability", "route", "modality", "source_id", "simulated")
    lineage = {"decision_id": row["decision_id"], **{name: row[name] for name in names}}
    return _sample(row["decision_id"], NEW, row, lineage)


def from_replay(row: Mapping[str, Any]) -> TrainingSample:
    """The sample of a row of a benchmark's `items.jsonl`."""
    lineage = {name: row[name] for name in ("item_id", "modality", "source_id")}
    return _sample(f"replay/{row['item_id']}", REPLAY, row, lineage)


def defect(sample: TrainingSample) -> str:
    """Why a sample cannot be trained on; "" where it can."""
    if sample.answer not in sample.options:
        return "the answer is no option"
    if IMAGE_PLACEHOLDER in multiple_choice_prompt(sample.question, sample.options):
        return f"the text holds {IMAGE_PLACEHOLDER}"
    return ""


def train_row(sample: TrainingSample) -> dict[str, Any]:
    """The row of `train.jsonl`: one image, `<image>` once, the question as evaluation asks it, the letter."""
    question = f"{IMAGE_PLACEHOLDER}\n{multiple_choice_prompt(sample.question, sample.options)}"
    return {
        "id": sample.sample_id,
        "images": [sample.image_name],
        "conversations": [
            {"from": "human", "value": question},
            {"from": "gpt", "value": sample.answer},
        ],
    }


def lineage_row(sample: TrainingSample) -> dict[str, Any]:
    """The row of `lineage.jsonl`."""
    origin = {"id": sample.sample_id, "kind": sample.kind}
    return {**sample.lineage, **origin, "image_id": sample.image_id, "image_uri": sample.image_uri}


def dropped_row(sample: TrainingSample, reason: str, detail: str = "") -> dict[str, Any]:
    """The row of `dropped.jsonl`."""
    return {
        "id": sample.sample_id,
        "kind": sample.kind,
        "image_id": sample.image_id,
        "reason": reason,
        "detail": detail,
    }


def draw_replay(items: Sequence[TrainingSample], n_new: int, ratio: float, seed: int) -> list[TrainingSample]:
    """Draw what is replayed against forgetting.

    Args:
        items: What may be replayed; their order does not matter.
        n_new: New samples.
        ratio: Replayed samples per new one, >= 0.
        seed: Of the draw.

    Returns: round(ratio * n_new) of the items without repetition, or all of them where there are fewer.
    """
    ordered = sorted(items, key=lambda item: item.sample_id)
    size = min(len(ordered), int(np.floor(ratio * n_new + 0.5)))
    drawn = np.random.default_rng([seed, 1]).permutation(len(ordered))[:size]
    return [ordered[index] for index in drawn]


def in_training_order(samples: Sequence[TrainingSample], seed: int) -> list[TrainingSample]:
    """The samples in an order that depends on their ids and the seed alone."""
    ordered = sorted(samples, key=lambda sample: sample.sample_id)
    return [ordered[index] for index in np.random.default_rng([seed, 2]).permutation(len(ordered))]


def _sample(sample_id: str, kind: str, row: Mapping[str, Any], lineage: Mapping[str, Any]) -> TrainingSample:
    return TrainingSample(
        sample_id,
        kind,
        row["image_id"],
        row["image_uri"],
        row["question"],
        row["options"],
        row["answer"],
        lineage,
    )
