"""The samples of a training dataset: made from decisions and replayed items, drawn, ordered. Knows no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from services.training.domain.conversations import IMAGE_PLACEHOLDER
from services.training.domain.deduplicate import Said
from shared.prompts import LETTER, TEXT, AnswerForm, multiple_choice_prompt, multiple_choice_reply
from shared.quality_level import closing_level
from shared.rows.annotation import Decision
from shared.rows.benchmark import Item
from shared.rows.training import Conversation, Lineage, Turn
from shared.rows.vocabulary import DESCRIPTION

#: Longest description that is trained on.
MOST_CHARACTERS = 10_000


@dataclass(frozen=True)
class TrainingSample:
    """One question with its answer, and where it comes from.

    Attributes:
        lineage: Its id, its image, its origin.
        question: The question.
        options: Letter to text; none where the answer is a description.
        answer: A letter of the options, or a description; None where the question was rejected.
        form: How the question is put, and in which words it is answered.
    """

    lineage: Lineage
    question: str
    options: Mapping[str, str]
    answer: str | None
    form: AnswerForm = LETTER

    @property
    def sample_id(self) -> str:
        """Unique in the dataset."""
        return self.lineage.id

    def learned_in(self, round_number: int) -> TrainingSample:
        """The same as it stands in the dataset of a later round."""
        return replace(self, lineage=msgspec.structs.replace(self.lineage, learned_in=round_number))

    @property
    def image_id(self) -> str:
        """sha256 (hex) of the PNG."""
        return self.lineage.image_id

    @property
    def image_name(self) -> str:
        """The image's file in the dataset."""
        return f"images/{self.image_id}.png"

    @property
    def defect(self) -> str:
        """Why it cannot be trained on; "" where it can."""
        if self.options and self.answer not in self.options:
            return "the answer is no option"
        if not self.reply:
            return "there is no description"
        if len(self.reply) > MOST_CHARACTERS:
            return "the description is too long"
        if IMAGE_PLACEHOLDER in multiple_choice_prompt(self.question, self.options, self.form) + self.reply:
            return f"the text holds {IMAGE_PLACEHOLDER}"
        return ""

    @property
    def reply(self) -> str:
        """What the model is to reply; "" where there is no description.

        Raises: KeyError: the answer is no option.
        """
        return multiple_choice_reply(self.options, self.answer or "", self.form)

    def said(self, phash: str) -> Said:
        """What it says of the picture with this hash; a description repeats only one that closes with the same level.

        Raises: KeyError: the answer is no option.
        """
        text = multiple_choice_reply(self.options, self.answer or "", TEXT)
        if self.options:
            return Said(phash, self.question, text)
        return Said(phash, f"{self.question}\n{text}", f"{DESCRIPTION} {closing_level(text)}")


def from_decision(row: Decision, form: AnswerForm = LETTER) -> TrainingSample:
    """The new sample of a decision."""
    lineage = Lineage(
        id=row.decision_id,
        kind="new",
        image_id=row.image_id,
        image_uri=row.image_uri,
        modality=row.modality,
        source_id=row.source_id,
        question_type=row.question_type,
        decision_id=row.decision_id,
        sample_id=row.sample_id,
        prototype_id=row.prototype_id,
        capability=row.capability,
        route=row.route,
        simulated=row.simulated,
    )
    return TrainingSample(lineage, row.question, row.options, row.answer, form)


def from_replay(row: Item, form: AnswerForm = LETTER) -> TrainingSample:
    """The sample that replays an item of a benchmark."""
    lineage = Lineage(
        id=f"replay/{row.item_id}",
        kind="replay",
        image_id=row.image_id,
        image_uri=row.image_uri,
        modality=row.modality,
        source_id=row.source_id,
        question_type=row.question_type,
        item_id=row.item_id,
    )
    return TrainingSample(lineage, row.question, row.options, row.answer, form)


def conversation(sample: TrainingSample) -> Conversation:
    """The row of `train.jsonl`: one image, `<image>` once, the question as evaluation asks it, the right reply.

    Raises: KeyError: the sample has a defect: its answer is no option.
    """
    question = f"{IMAGE_PLACEHOLDER}\n{multiple_choice_prompt(sample.question, sample.options, sample.form)}"
    turns = (Turn(speaker="human", value=question), Turn(speaker="gpt", value=sample.reply))
    return Conversation(id=sample.sample_id, images=(sample.image_name,), conversations=turns)


def n_to_replay(n_new: int, ratio: float, total: int) -> int:
    """How many samples are to be replayed against forgetting.

    Args:
        n_new: New samples.
        ratio: Replayed samples per new one, >= 0.
        total: Samples of the dataset that replay is to fill up, in place of the ratio; 0: the ratio decides.

    Returns: What new samples leave of `total`, or else round(ratio * n_new).
    """
    return max(0, total - n_new) if total else int(np.floor(ratio * n_new + 0.5))


def draw_replay(items: Sequence[TrainingSample], size: int, seed: int) -> list[TrainingSample]:
    """Draw what is replayed.

    Args:
        items: What may be replayed; their order does not matter.
        size: How many to draw.
        seed: Of the draw; a smaller one draws a part of what a larger one draws.

    Returns: So many of the items without repetition, or all of them where there are fewer.
    """
    ordered = sorted(items, key=lambda item: item.sample_id)
    drawn = np.random.default_rng([seed, 1]).permutation(len(ordered))[:size]
    return [ordered[index] for index in drawn]


def in_training_order(samples: Sequence[TrainingSample], seed: int) -> list[TrainingSample]:
    """The samples in an order that depends on their ids and the seed alone."""
    ordered = sorted(samples, key=lambda sample: sample.sample_id)
    return [ordered[index] for index in np.random.default_rng([seed, 2]).permutation(len(ordered))]
