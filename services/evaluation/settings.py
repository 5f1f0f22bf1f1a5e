"""Settings of the evaluation service."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings


class EvaluationSettings(ServiceSettings):
    """`MEDQ_EVALUATION_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="MEDQ_EVALUATION_", frozen=True, extra="forbid")

    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where models run; auto: a GPU if any."
    )
    batch_size: int = Field(64, ge=1, le=4096, description="Prompts that a model answers at a time.")
    batch_answers: int = Field(
        320, ge=1, le=100_000, description="Answers made and stored at a time; what a kill may cost."
    )
    n_torch_threads: int = Field(
        1, ge=1, le=256, description="CPU threads of a model; more are slow if shared."
    )
