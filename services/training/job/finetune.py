"""Full-parameter supervised fine-tuning.

It reads a `TrainingSpec`, goes on from the last complete checkpoint if there is one, and leaves a Hugging Face
folder whose bytes depend on the data, the model and the settings alone (on a CPU: stopped and resumed training gives
the same bytes as undisturbed training). It knows nothing of operations and object storage.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, TrainerCallback, set_seed
from transformers.utils.logging import disable_progress_bar

from services.training.domain.batches import share_step
from services.training.job.memory import require_memory
from services.training.job.model_files import COMPLETE, newest_checkpoint
from services.training.job.sample_encoder import SampleEncoder, read_samples
from services.training.job.spec import TrainingSpec
from services.training.job.trainer import SftTrainer, build_trainer, curve_point, devices_of
from shared.checkpoints import require_checkpoint
from shared.errors import FailedPrecondition
from shared.rows.encoding import to_json
from shared.rows.training import Training
from shared.synced import put_in_place


def finetune(spec: TrainingSpec, callbacks: Sequence[TrainerCallback] = ()) -> None:
    """Train, or finish a training that was stopped; nothing is done where the result is already there.

    Args:
        spec: The job.
        callbacks: Called by the trainer beside its own.

    Raises:
        InvalidArgument: The checkpoint folder is incomplete, or a sample is unreadable, malformed or too long.
        FailedPrecondition: No samples, too little memory, a parameter of the model is frozen, or the loss is no longer finite.
    """
    if spec.result_folder.is_dir():
        return
    begun = time.monotonic()
    spec.checkpoints_folder.mkdir(parents=True, exist_ok=True)
    disable_progress_bar()
    torch.set_num_threads(spec.n_threads)
    set_seed(spec.seed)
    require_checkpoint(spec.model_folder)
    samples = read_samples(spec.train_file)
    encoder = SampleEncoder(load_processor(spec.model_folder), spec.image_folder)
    longest = encoder.check_lengths(samples, spec.max_length)
    devices = devices_of(spec)
    per_device, _ = share_step(spec.batch_size, spec.gradient_accumulation, devices.n_processes)
    needed = require_memory(spec.model_folder, longest, per_device, devices)
    checkpoint = last_checkpoint(spec.checkpoints_folder)
    model = load_trainable(spec.model_folder if checkpoint is None else checkpoint)
    trainer = build_trainer(spec, model, encoder, samples)
    for callback in callbacks:
        trainer.add_callback(callback)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    weights = trainer.accelerator.get_state_dict(trainer.model)  # each process has a part of them
    if trainer.is_world_process_zero():
        counts = {"n_samples": len(samples), "longest_sample_tokens": longest.tokens}
        save_result(spec, trainer, weights, counts)
        measured = {
            "device": str(trainer.args.device),
            "seconds": time.monotonic() - begun,
            "estimated_bytes": needed.total,
        }
        spec.measured_file.write_text(json.dumps(measured, sort_keys=True))


def load_processor(folder: Path) -> Any:
    """The processor of a checkpoint folder."""
    return AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def load_trainable(folder: Path) -> Any:
    """The model in float32 with every parameter trainable.

    In pure bfloat16 a step of 2e-5 is below the spacing of most weights and leaves them unchanged; so the weights
    stay float32, and a GPU computes in bfloat16 by autocast.

    Raises:
        FailedPrecondition: A parameter is frozen.
    """
    model: Any = AutoModelForImageTextToText.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, dtype=torch.float32
    )
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    if frozen:
        remedy = "Use a checkpoint whose model has no frozen part: training is of all parameters."
        raise FailedPrecondition("The model has frozen parameters.", field="model", value=frozen[:3], remedy=remedy)
    model.config.use_cache = False
    return model


def last_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint; what was cut off while it was written is removed."""
    for checkpoint in folder.glob("checkpoint-*"):
        if not (checkpoint / COMPLETE).exists():
            shutil.rmtree(checkpoint, ignore_errors=True)  # each process of the job removes it
    return newest_checkpoint(folder)


def save_result(
    spec: TrainingSpec, trainer: SftTrainer, weights: dict[str, torch.Tensor], counts: dict[str, int]
) -> None:
    """Write model, processor and `training.json`, then give the folder its name at once."""
    partial = spec.result_folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    model = trainer.accelerator.unwrap_model(trainer.model)
    model.config.use_cache = True
    model.save_pretrained(partial, state_dict=weights)
    # Read anew: a tokenizer that has encoded a batch would also save how that batch was padded.
    load_processor(spec.model_folder).save_pretrained(partial)
    report = Training(
        **counts,
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        n_trainable=sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        n_steps=trainer.state.global_step,
        loss_curve=tuple(curve_point(entry, entry["step"]) for entry in trainer.state.log_history if "loss" in entry),
        settings=spec.settings,
    )
    (partial / "training.json").write_text(to_json(report, 1), encoding="utf-8")
    put_in_place(partial, spec.result_folder)
