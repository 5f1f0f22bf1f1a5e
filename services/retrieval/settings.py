"""Settings of the retrieval service, from `MEDQ_RETRIEVAL_...`."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from shared.settings import Section, ServiceSettings


class QdrantSection(Section):
    """The vector index on a Qdrant server or cluster."""

    url: str = Field("", description="http(s)://host:port of the gRPC port; empty: an index in the state folder.")
    api_key: SecretStr = Field(SecretStr(""), description="API key; sent in the clear where the URL is http.")
    ca_file: Path | None = Field(None, description="Authority that signed the server's certificate (PEM).")
    collection: str = Field("medq", min_length=1, description="Collection; made with the first vectors.")
    shards: int = Field(1, ge=1, description="Shards of a collection that is made here.")
    replication: int = Field(1, ge=1, description="Replicas of each shard.")
    write_consistency: int = Field(
        0, ge=0, description="Replicas that must have written before a write counts; 0: more than half."
    )
    is_quantized: bool = Field(True, description="Walk the graph over one byte a number, then score exactly.")
    are_vectors_on_disk: bool = Field(False, description="Keep the vectors themselves on disk, not in memory.")
    timeout_seconds: int = Field(60, ge=1, description="Deadline of a call, its retries included.")
    green_seconds: float = Field(
        3600.0, gt=0, description="How long the server may take to build its graphs after many upserts."
    )

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if self.write_consistency > self.replication:
            raise ValueError("write_consistency is more than there are replicas")
        return self


class RetrievalSettings(ServiceSettings):
    """What retrieval needs beside what every service does."""

    model_config = SettingsConfigDict(env_prefix="MEDQ_RETRIEVAL_", frozen=True, extra="forbid")

    index: QdrantSection = Field(default_factory=QdrantSection, description="The vector index.")
    search_threads: int = Field(1, ge=1, le=256, description="Threads of one search of the index.")
    batch_size: int = Field(500, ge=1, le=10_000, description="Images that are put into the index at once.")
