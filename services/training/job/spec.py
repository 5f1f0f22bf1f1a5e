"""What one fine-tuning job is told, and where it leaves what it made.

A `TrainingJob` names its inputs by URI and is the same on every machine; a `TrainingSpec` is that job on one machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.training.domain.loss import Reduction
from shared.errors import InvalidArgument


class Optimisation(BaseModel):
    """What decides the result, besides model and data; the defaults are the paper's where it gives one.

    A step has `batch_size * gradient_accumulation` samples, however many devices share them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    learning_rate: float = Field(default=2e-5, gt=0)
    """Peak of the cosine schedule."""
    epochs: int = Field(default=3, ge=1)
    """Passes over the data; not looked at where `steps` is set."""
    steps: int = Field(default=0, ge=0)
    """Optimiser steps, the data passed over as often as they need; 0: `epochs` decides."""
    batch_size: int = Field(ge=1)
    """Most samples of one forward pass on a device."""
    gradient_accumulation: int = Field(default=1, ge=1)
    """Forward passes of one step, shared by the devices."""
    warmup_ratio: float = Field(default=0.03, ge=0, lt=1)
    """Share of the steps in which the learning rate rises from 0."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Of AdamW."""
    max_gradient_norm: float = Field(default=1.0, gt=0)
    """Gradients of a larger norm are scaled down to it."""
    loss_reduction: Reduction = "token_mean"
    """How equation (4) is averaged."""
    max_length: int = Field(default=2048, ge=1)
    """Most tokens of a sample, image tokens included; a longer one is an error before the first step."""
    checkpoint_every: int = Field(default=200, ge=1)
    """Optimiser steps between checkpoints."""
    seed: int = Field(default=0, ge=0)
    """Of the order of the samples."""

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the result, without paths and machine: goes into `training.json`."""
        return self.model_dump(mode="json", include=set(Optimisation.model_fields))


class TrainingJob(Optimisation):
    """One fine-tuning job, its inputs named by URI."""

    key: str = Field(pattern="^[0-9a-f]{64}$")
    """Names the job: whoever starts the same one again finds what an earlier attempt left."""
    model_uri: str
    """`sha256:<hex>` of the `model` to start from."""
    dataset_uri: str
    """`sha256:<hex>` of the `dataset` to learn."""


class TrainingSpec(Optimisation):
    """One fine-tuning job on a machine. Paths are absolute."""

    model_folder: Path
    """The checkpoint to start from."""
    train_file: Path
    """LLaVA/ShareGPT rows, one a line."""
    image_folder: Path
    """What the image paths of the rows are relative to."""
    output_folder: Path
    """Where the job works; what it leaves there is named by the properties below."""
    device: Literal["auto", "cpu"] = "auto"
    """"auto" takes a GPU where there is one."""
    n_threads: int = Field(default=1, ge=1)
    """Threads of torch on a CPU."""

    @property
    def result_folder(self) -> Path:
        """The trained checkpoint with its `training.json`; there only when it is complete."""
        return self.output_folder / "model"

    @property
    def checkpoints_folder(self) -> Path:
        """Where the job goes on from after it was stopped."""
        return self.output_folder / "checkpoints"

    @property
    def progress_file(self) -> Path:
        """One JSON object a line, written as the job runs."""
        return self.output_folder / "progress.jsonl"

    @property
    def measured_file(self) -> Path:
        """What differs from run to run: seconds and device."""
        return self.output_folder / "measured.json"

    @property
    def error_file(self) -> Path:
        """The typed error of a job that failed."""
        return self.output_folder / "error.json"


def read_spec(path: Path) -> TrainingSpec:
    """Read a job's JSON file.

    Raises:
        InvalidArgument: It is not there, not JSON, or a field is unknown, missing or out of range.
    """
    try:
        return TrainingSpec.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidArgument("The training job has no file.", field="spec", value=str(path)) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "spec"
        raise InvalidArgument(f"The training job is not valid: {first['msg']}.", field=field) from error
