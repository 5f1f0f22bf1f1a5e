"""The `transformers` trainer as fine-tuning uses it: equation (4) as its loss, sealed checkpoints, a progress file."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import torch
from accelerate import PartialState  # type: ignore[import-untyped]
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from services.training.domain.batches import share_step
from services.training.domain.conversations import Sample
from services.training.domain.loss import Reduction, n_to_divide_by, sft_loss
from services.training.job.memory import Devices
from services.training.job.model_files import COMPLETE
from services.training.job.sample_encoder import SampleEncoder
from services.training.job.spec import TrainingSpec
from shared.errors import FailedPrecondition
from shared.rows.training import LossPoint
from shared.synced import sync, sync_all


class SftTrainer(Trainer):  # type: ignore[misc]
    """The `transformers` trainer, but for what a step's loss is divided by, and how it reads the weights of a checkpoint.

    `save_pretrained` writes the weights of some models (InternVL, Qwen2.5-VL) under the names of their original
    release, which `from_pretrained` translates back and the trainer (5.23) does not: it would warn, and go on from
    the weights it has. So the caller hands over a model that was loaded from the checkpoint.
    """

    #: The loss of each batch is already its part of the step's.
    loss_is_scaled_for_ga = True
    reduction: Reduction = "token_mean"

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: torch.device) -> tuple[list[Any], Any]:
        """The batches of a step, and what its loss is divided by: answer tokens or samples of all its batches and processes."""
        batches = list(islice(epoch_iterator, num_batches))
        n = torch.tensor(sum(n_to_divide_by(batch["labels"], self.reduction) for batch in batches), device=device)
        return batches, self.accelerator.gather(n).sum()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)


def build_trainer(spec: TrainingSpec, model: Any, encoder: SampleEncoder, samples: Sequence[Sample]) -> SftTrainer:
    """The `transformers` trainer with equation (4) as its loss."""

    def loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | None = None) -> torch.Tensor:
        return sft_loss(outputs.logits, labels, spec.loss_reduction, num_items_in_batch)

    trainer = SftTrainer(
        model=model,
        args=_arguments(spec, len(samples)),
        data_collator=encoder,
        train_dataset=list(samples),
        compute_loss_func=loss,
        callbacks=[ProgressWriter(spec.progress_file), CheckpointSealer()],
    )
    trainer.reduction = spec.loss_reduction
    trainer.remove_callback(PrinterCallback)
    return trainer


def devices_of(spec: TrainingSpec) -> Devices:
    """What trains: the processes that `torchrun` started, or this one."""
    on_gpu = spec.device == "auto" and torch.cuda.is_available()
    return Devices(on_gpu, PartialState(cpu=not on_gpu).num_processes)


def _arguments(spec: TrainingSpec, n_samples: int) -> TrainingArguments:
    """The job as the trainer knows it; `per_device_train_batch_size` is what `share_step` gives to each process."""
    devices = devices_of(spec)
    on_gpu, n_processes = devices.is_gpu, devices.n_processes
    batch_size, accumulation = share_step(spec.batch_size, spec.gradient_accumulation, n_processes)
    return TrainingArguments(
        output_dir=str(spec.checkpoints_folder),
        num_train_epochs=spec.epochs,
        max_steps=spec.steps or -1,
        per_device_train_batch_size=batch_size,
        gradient_accumulation_steps=accumulation,
        learning_rate=spec.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=_warmup_steps(spec, n_samples),
        weight_decay=spec.weight_decay,
        max_grad_norm=spec.max_gradient_norm,
        optim="adamw_torch",
        seed=spec.seed,
        data_seed=spec.seed,
        use_cpu=not on_gpu,
        bf16=on_gpu,
        average_tokens_across_devices=True,  # a step's loss is divided by what all processes have of it
        logging_steps=1,
        save_steps=spec.checkpoint_every,
        save_total_limit=2,
        dataloader_num_workers=0,
        dataloader_pin_memory=on_gpu,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to=[],
        **_sharding(n_processes),
    )


def _sharding(n_processes: int) -> dict[str, Any]:
    """Several processes share weights, gradients and the optimiser's state among them (FSDP); checkpoints are whole."""
    if n_processes == 1:
        return {}
    return {"fsdp": True, "fsdp_config": {"version": 2, "state_dict_type": "FULL_STATE_DICT"}}


class ProgressWriter(TrainerCallback):  # type: ignore[misc]
    """Appends a line for each optimiser step; what depends on the machine stands apart under `measured`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begun = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
        """Called by the trainer after each step.

        Raises:
            FailedPrecondition: The loss is no longer finite.
        """
        if "loss" not in logs or not state.is_world_process_zero:
            return
        if not math.isfinite(logs["loss"]) or not math.isfinite(logs.get("grad_norm", 0.0)):
            remedy = "Lower the learning rate, or look for broken samples."
            raise FailedPrecondition("The training diverged.", field="step", value=state.global_step, remedy=remedy)
        line = {
            **msgspec.to_builtins(curve_point(logs, state.global_step)),
            "n_steps": state.max_steps,
            "measured": {"seconds": time.monotonic() - self._begun},
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, sort_keys=True) + "\n")


class CheckpointSealer(TrainerCallback):  # type: ignore[misc]
    """Marks a checkpoint as complete once all its files are written."""

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the trainer after a checkpoint was saved."""
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            sync_all(checkpoint)
            (checkpoint / COMPLETE).touch()
            sync(checkpoint)


def curve_point(logs: dict[str, float], step: int) -> LossPoint:
    """What a log entry says of a step."""
    return LossPoint(step=step, loss=logs["loss"], learning_rate=logs["learning_rate"])


def _warmup_steps(spec: TrainingSpec, n_samples: int) -> int:
    """Optimiser steps of the warm-up."""
    steps_of_a_pass = math.ceil(math.ceil(n_samples / spec.batch_size) / spec.gradient_accumulation)
    return math.ceil((spec.steps or steps_of_a_pass * spec.epochs) * spec.warmup_ratio)
