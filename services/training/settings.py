"""Settings of the training service."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings


class TrainingSettings(ServiceSettings):
    """What the training service needs to run; environment names begin with `MEDQ_TRAINING_`."""

    model_config = SettingsConfigDict(env_prefix="MEDQ_TRAINING_", frozen=True, extra="forbid")

    operation_workers: int = Field(2, ge=1, le=16, description="Operations that run at the same time.")
    device: Literal["auto", "cpu"] = Field("auto", description='"auto" takes a GPU where there is one.')
    n_torch_threads: int = Field(1, ge=1, description="Threads of a job on a CPU.")
    checkpoint_every: int = Field(200, ge=1, description="Optimiser steps between checkpoints of a job.")
