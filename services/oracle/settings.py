"""Settings of the oracle service."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import EndpointSettings


class OracleSettings(EndpointSettings):
    """What the oracle service needs to run; environment names begin with `MEDQ_ORACLE_`."""

    model_config = SettingsConfigDict(env_prefix="MEDQ_ORACLE_", frozen=True, extra="forbid")

    operation_workers: int = Field(4, ge=1, le=32, description="Operations that run at the same time.")
    simulated_call_seconds: float = Field(
        0.0, ge=0, le=60, description="How long a call to the simulated oracle or expert takes; it changes no answer."
    )
