"""Settings of the retrieval service, from `MEDQ_RETRIEVAL_...`."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings


class RetrievalSettings(ServiceSettings):
    """What retrieval needs beside what every service does."""

    model_config = SettingsConfigDict(env_prefix="MEDQ_RETRIEVAL_", frozen=True, extra="forbid")

    search_threads: int = Field(1, ge=1, le=256, description="Threads of one search of the index.")
    batch_size: int = Field(500, ge=1, le=10_000, description="Images that are put into the index at once.")
