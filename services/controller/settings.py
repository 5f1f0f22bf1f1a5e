"""Settings of the controller, read from `MEDQ_CONTROLLER_...`."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings


class ControllerSettings(ServiceSettings):
    """What every service has, and how many runs go side by side."""

    model_config = SettingsConfigDict(env_prefix="MEDQ_CONTROLLER_", frozen=True, extra="forbid")

    max_runs: int = Field(4, ge=1, le=64, description="Runs at work at the same time; further ones wait.")
