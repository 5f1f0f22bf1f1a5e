"""Settings of the controller, read from `MEDQ_CONTROLLER_...`."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import EndpointSettings, InputSettings


class ControllerSettings(InputSettings, EndpointSettings):
    """What every service has, how many runs go side by side, and over how many replicas a run's evaluations spread."""

    model_config = SettingsConfigDict(env_prefix="MEDQ_CONTROLLER_", frozen=True, extra="forbid")

    evaluation_replicas: int = Field(
        1,
        ge=1,
        le=1000,
        description="Replicas of evaluation: a new run has each evaluation answered in so many shards.",
    )
    public_targets: dict[str, str] = Field(
        default_factory=dict,
        description="gRPC targets by name that clients are told of instead of `targets`, as JSON: those of an ingress.",
    )
    max_runs: int = Field(
        4,
        ge=1,
        le=64,
        description="Runs at work at the same time; further ones wait. Who waits for people is not at work.",
    )
    waiting_seconds: float = Field(
        3.0,
        ge=0,
        le=60,
        description="How long a run stays at a step that waits for people before its threads are free.",
    )
