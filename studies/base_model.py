"""The base model of a study: the tiny checkpoint, trained from random weights on the study's own base split.

It goes through the same fine-tuning as every later round, with a larger learning rate because it starts from
nothing. Beside the questions it learns a description of each image, which teaches the vision tower faster than letters
do, and to name some degradation of a modality, whatever the image shows: so it knows the words for the cells that it never
sees. These cells are the weakness that the loop has to find.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from transformers import TrainerCallback
from transformers.utils.logging import disable_progress_bar

from services.training.domain.conversations import Sample
from services.training.job.finetune import finetune
from services.training.job.spec import TrainingSpec
from shared.prompts import LETTER, AnswerForm, multiple_choice_prompt, multiple_choice_reply
from shared.rows.encoding import to_json
from shared.rows.training import Conversation, Turn
from studies.images.degradations import NONE
from studies.questions import LETTERS, PHRASES, Finding, ask_description
from studies.tiny_model import build_tiny_checkpoint

Row = dict[str, str]
WORD_REQUEST = "Name something that can be wrong with such an image."
WORD_EVERY = 4
"""One image in so many is shown with that request."""


@dataclass(frozen=True)
class BaseTraining:
    """How the base model is trained; ours, not the paper's, whose base models come trained.

    Attributes:
        learning_rate: Peak of the cosine schedule.
        epochs: Passes over the questions, descriptions and words of the base split; fresh images teach more than a second pass.
        batch_size: Questions of one step.
        seed: Of the weights and of the order of the questions.
        n_threads: Threads of torch.
        answer_form: How the questions are put, and in which words they are answered.
    """

    learning_rate: float = 2e-3
    epochs: int = 1
    batch_size: int = 32
    seed: int = 0
    n_threads: int = 1
    answer_form: AnswerForm = LETTER


class StepTeller(TrainerCallback):  # type: ignore[misc]
    """Tells how many steps of a training are done.

    Args:
        on_step: Called with (steps done, steps in all).
    """

    def __init__(self, on_step: Callable[[int, int], None]) -> None:
        self._on_step = on_step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the trainer after each optimiser step."""
        self._on_step(state.global_step, state.max_steps)


def pretrain_base(
    study_folder: Path,
    output_folder: Path,
    training: BaseTraining | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> Path:
    """Train the base model, or finish a training that was stopped.

    Args:
        study_folder: Written by `studies.folder.write_study`.
        output_folder: Where the training works.
        training: Settings.
        on_step: Called with (steps done, steps in all) after each step.

    Returns: The folder of the trained checkpoint, within `output_folder`.

    Raises:
        MedqError: as `services.training.job.finetune.finetune`.
    """
    settings = training or BaseTraining()
    spec = base_spec(study_folder, output_folder, settings)
    if not spec.result_folder.is_dir():
        rows = read_rows(study_folder / "base.tsv")
        output_folder.mkdir(parents=True, exist_ok=True)
        images, form = one_per_image(rows), settings.answer_form
        exchanges = [*(_question(row, form) for row in rows), *map(_description, images)]
        exchanges += map(word_sample, images[::WORD_EVERY])
        spec.train_file.write_text("\n".join(map(_conversation, exchanges)), encoding="utf-8")
        texts = sorted({text for exchange in exchanges for text in (exchange.question, exchange.answer)})
        disable_progress_bar()
        build_tiny_checkpoint(spec.model_folder, texts, settings.seed)
        finetune(spec, [StepTeller(on_step)] if on_step else [])
    return spec.result_folder


def base_spec(study_folder: Path, output_folder: Path, training: BaseTraining) -> TrainingSpec:
    """The fine-tuning job of the base model."""
    return TrainingSpec(
        model_folder=output_folder / "random",
        train_file=output_folder / "train.jsonl",
        image_folder=study_folder,
        output_folder=output_folder,
        learning_rate=training.learning_rate,
        epochs=training.epochs,
        batch_size=training.batch_size,
        warmup_ratio=0.05,
        weight_decay=0.05,
        seed=training.seed,
        n_threads=training.n_threads,
    )


def read_rows(path: Path) -> Sequence[Row]:
    """The rows of a study's TSV, in order."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def one_per_image(rows: Sequence[Row]) -> list[Row]:
    """The first row of each image, in order."""
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row["image_path"], row)
    return list(first.values())


def _question(row: Row, form: AnswerForm) -> Sample:
    """A row as a multiple-choice question."""
    options = {letter: row[letter] for letter in LETTERS if row[letter]}
    prompt = multiple_choice_prompt(row["question"], options, form)
    return Sample(row["index"], row["image_path"], prompt, multiple_choice_reply(options, row["answer"], form))


def _description(row: Row) -> Sample:
    """What a row's image shows, in words."""
    asked = ask_description(Finding(row["modality"], row["attribute"], row["severity"]))
    return Sample(f"description-{row['index']}", row["image_path"], asked.text, asked.answer)


def word_sample(row: Row) -> Sample:
    """One of the names of degradations of a row's modality, the left-out ones too; it says nothing of the image."""
    phrases = [phrase for name, phrase in PHRASES[row["modality"]].items() if name != NONE]
    name = phrases[int(np.random.default_rng([int(row["index"]), 3]).integers(len(phrases)))]
    return Sample(f"word-{row['index']}", row["image_path"], WORD_REQUEST, name)


def _conversation(sample: Sample) -> str:
    """One line of a LLaVA/ShareGPT file."""
    turns = (Turn(speaker="human", value=f"<image>\n{sample.question}"), Turn(speaker="gpt", value=sample.answer))
    return to_json(Conversation(id=sample.sample_id, images=(sample.image,), conversations=turns))
