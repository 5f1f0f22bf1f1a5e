"""Full-parameter supervised fine-tuning as a program: `python -m services.training.finetune SPEC.json`.

It reads a `TrainingSpec`, goes on from the last complete checkpoint if there is one, and leaves a Hugging Face
folder whose bytes depend on the data, the model and the settings alone (on a CPU: stopped and resumed training gives
the same bytes as undisturbed training). It knows nothing of operations and object storage.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint

from services.training.domain.conversations import Sample
from services.training.domain.loss import sft_loss
from services.training.parent import die_with_parent
from services.training.samples import Encoder, read_samples
from services.training.spec import TrainingSpec, read_spec
from shared.checkpoints import require_checkpoint
from shared.errors import FailedPrecondition, MedqError

COMPLETE = "complete"
"""Marker that is written into a checkpoint after everything else; a folder without it was cut off."""


def finetune(spec: TrainingSpec, callbacks: Sequence[TrainerCallback] = ()) -> None:
    """Train, or finish a training that was stopped; nothing is done where the result is already there.

    Args:
        spec: The job.
        callbacks: Called by the trainer beside its own.

    Raises:
        InvalidArgument: the checkpoint folder is incomplete, or a sample is unreadable, malformed or too long.
        FailedPrecondition: no samples, a parameter of the model is frozen, or the loss is no longer finite.
    """
    if spec.result_folder.is_dir():
        return
    begun = time.monotonic()
    spec.checkpoints_folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(spec.n_threads)
    set_seed(spec.seed)
    require_checkpoint(spec.model_folder)
    samples = read_samples(spec.train_file)
    processor: Any = AutoProcessor.from_pretrained(
        spec.model_folder, local_files_only=True, trust_remote_code=False
    )
    encoder = Encoder(processor, spec.image_folder)
    longest = encoder.check_lengths(samples, spec.max_length)
    checkpoint = last_checkpoint(spec.checkpoints_folder)
    model = load_trainable(spec.model_folder if checkpoint is None else checkpoint)
    trainer = build_trainer(spec, model, encoder, samples)
    for callback in callbacks:
        trainer.add_callback(callback)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    if trainer.is_world_process_zero():
        save_result(spec, trainer, processor, {"n_samples": len(samples), "longest_sample_tokens": longest})
        measured = {"device": str(trainer.args.device), "seconds": time.monotonic() - begun}
        spec.measured_file.write_text(json.dumps(measured, sort_keys=True))


def load_trainable(folder: Path) -> Any:
    """The model in float32 with every parameter trainable.

    In pure bfloat16 a step of 2e-5 is below the spacing of most weights and leaves them unchanged; so the weights
    stay float32, and a GPU computes in bfloat16 by autocast.

    Raises:
        FailedPrecondition: a parameter is frozen.
    """
    model: Any = AutoModelForImageTextToText.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, dtype=torch.float32
    )
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    if frozen:
        remedy = "use a checkpoint whose model has no frozen part: training is of all parameters"
        raise FailedPrecondition(
            "The model has frozen parameters", field="model", value=frozen[:3], remedy=remedy
        )
    model.config.use_cache = False
    return model


class SftTrainer(Trainer):  # type: ignore[misc]
    """The `transformers` trainer, but for how it reads the weights of a checkpoint.

    `save_pretrained` writes the weights of some models (InternVL, Qwen2.5-VL) under the names of their original
    release, which `from_pretrained` translates back and the trainer (5.23) does not: it would warn, and go on from
    the weights it has. So the caller hands over a model that was loaded from the checkpoint.
    """

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)


def build_trainer(spec: TrainingSpec, model: Any, encoder: Encoder, samples: Sequence[Sample]) -> Trainer:
    """The `transformers` trainer with equation (4) as its loss."""
    on_gpu = spec.device == "auto" and torch.cuda.is_available()
    is_token_mean = spec.loss_reduction == "token_mean"
    arguments = TrainingArguments(
        output_dir=str(spec.checkpoints_folder),
        num_train_epochs=spec.epochs,
        per_device_train_batch_size=spec.batch_size,
        gradient_accumulation_steps=spec.gradient_accumulation,
        learning_rate=spec.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=_warmup_steps(spec, len(samples)),
        weight_decay=spec.weight_decay,
        max_grad_norm=spec.max_gradient_norm,
        optim="adamw_torch",
        seed=spec.seed,
        data_seed=spec.seed,
        use_cpu=not on_gpu,
        bf16=on_gpu,
        average_tokens_across_devices=is_token_mean,
        logging_steps=1,
        save_steps=spec.checkpoint_every,
        save_total_limit=2,
        dataloader_num_workers=0,
        dataloader_pin_memory=on_gpu,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to=[],
    )

    def loss(
        outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | None = None
    ) -> torch.Tensor:
        return sft_loss(outputs.logits, labels, spec.loss_reduction, num_items_in_batch)

    trainer = SftTrainer(
        model=model,
        args=arguments,
        data_collator=encoder,
        train_dataset=list(samples),
        compute_loss_func=loss,
        callbacks=[ProgressWriter(spec.progress_file), CheckpointSealer()],
    )
    # A token mean is divided by the answer tokens of the whole step, a sum per sample by the batches of the step.
    trainer.loss_is_scaled_for_ga = is_token_mean
    trainer.remove_callback(PrinterCallback)
    return trainer


class ProgressWriter(TrainerCallback):  # type: ignore[misc]
    """Appends a line for each optimiser step; what depends on the machine stands apart under `measured`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begun = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
        """Called by the trainer after each step.

        Raises:
            FailedPrecondition: the loss is no longer finite.
        """
        if "loss" not in logs or not state.is_world_process_zero:
            return
        if not math.isfinite(logs["loss"]) or not math.isfinite(logs.get("grad_norm", 0.0)):
            remedy = "lower the learning rate, or look for broken samples"
            raise FailedPrecondition(
                "The training diverged", field="step", value=state.global_step, remedy=remedy
            )
        line = {
            **_curve_point(logs | {"step": state.global_step}),
            "n_steps": state.max_steps,
            "measured": {"seconds": time.monotonic() - self._begun},
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, sort_keys=True) + "\n")


class CheckpointSealer(TrainerCallback):  # type: ignore[misc]
    """Marks a checkpoint as complete once all its files are written."""

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the trainer after a checkpoint was saved."""
        if state.is_world_process_zero:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE).touch()


def last_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint; what was cut off while it was written is removed."""
    for checkpoint in folder.glob("checkpoint-*"):
        if not (checkpoint / COMPLETE).exists():
            shutil.rmtree(checkpoint)
    newest = get_last_checkpoint(str(folder))
    return None if newest is None else Path(newest)


def save_result(spec: TrainingSpec, trainer: Trainer, processor: Any, counts: dict[str, int]) -> None:
    """Write model, processor and `training.json`, then give the folder its name at once."""
    partial = spec.result_folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    model = trainer.accelerator.unwrap_model(trainer.model)
    model.config.use_cache = True
    model.save_pretrained(partial)
    processor.save_pretrained(partial)
    report = {
        **counts,
        "n_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "n_trainable": sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        "n_steps": trainer.state.global_step,
        "loss_curve": [_curve_point(entry) for entry in trainer.state.log_history if "loss" in entry],
        "settings": spec.settings,
    }
    (partial / "training.json").write_text(json.dumps(report, indent=1, sort_keys=True))
    partial.rename(spec.result_folder)


def _curve_point(logs: dict[str, float]) -> dict[str, float]:
    """Step, loss (nats) and learning rate of a log entry."""
    return {name: logs[name] for name in ("step", "loss", "learning_rate")}


def _warmup_steps(spec: TrainingSpec, n_samples: int) -> int:
    """Optimiser steps of the warm-up, in one process."""
    steps = math.ceil(math.ceil(n_samples / spec.batch_size) / spec.gradient_accumulation) * spec.epochs
    return math.ceil(steps * spec.warmup_ratio)


def main() -> None:
    """Run the job of a file; a typed error is written to its `error.json`, and the exit code is 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("spec", type=Path, help="JSON file of a TrainingSpec")
    parser.add_argument("--parent", type=int, help="process id; this program ends when that process does")
    arguments = parser.parse_args()
    if arguments.parent is not None:
        die_with_parent(arguments.parent)
    spec = read_spec(arguments.spec)
    try:
        finetune(spec)
    except MedqError as error:
        told = {"reason": error.reason, "message": error.message, **error.metadata}
        spec.error_file.write_text(json.dumps(told, sort_keys=True))
        sys.exit(str(error))


if __name__ == "__main__":
    main()
