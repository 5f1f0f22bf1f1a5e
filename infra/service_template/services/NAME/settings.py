"""Settings of the NAME service; from the environment as `MEDQ_UPPER_<FIELD>`."""

from __future__ import annotations

from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings


class CLASSSettings(ServiceSettings):
    """What the service needs beside what every service needs."""

    model_config = SettingsConfigDict(env_prefix="MEDQ_UPPER_", frozen=True, extra="forbid")
