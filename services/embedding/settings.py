"""Settings of the embedding service, from `MEDQ_EMBEDDING_...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints, field_validator
from pydantic_settings import SettingsConfigDict

from services.embedding.domain.images import MOST_IMAGES_A_FILE, SLICES
from shared.limits import ENCODER_NAME, STATISTICS
from shared.settings import InputSettings

_Name = Annotated[str, StringConstraints(pattern=f"^{ENCODER_NAME}$")]
_PUBLIC_KEY = "medq-development-key"


class EmbeddingSettings(InputSettings):
    """What embedding needs beside what every service does."""

    model_config = SettingsConfigDict(env_prefix="MEDQ_EMBEDDING_", frozen=True, extra="forbid")

    hash_key: SecretStr = Field(
        SecretStr(_PUBLIC_KEY),
        min_length=16,
        description="Key of the hashes of patients and sessions; the default is public, a site sets its own.",
    )
    batch_size: int = Field(64, ge=1, le=4096, description="Images that are read and recorded at once.")
    claim_size: int = Field(
        16,
        ge=1,
        le=256,
        description="Images that are claimed and embedded at once; the smaller, the more evenly replicas share.",
    )
    readers: int = Field(2, ge=1, le=64, description="Processes that read images, each with the limits that follow.")
    reader_memory_mib: int = Field(
        1536,
        ge=64,
        le=1 << 20,
        description="Memory that reading one image may take, in MiB; what needs more is refused.",
    )
    reader_seconds: float = Field(
        60.0, ge=1, le=3600, description="Time that reading one image may take; what takes longer is refused."
    )
    volume_slices: int = Field(
        SLICES, ge=1, le=MOST_IMAGES_A_FILE, description="Central slices that are taken of a volume (NIfTI)."
    )

    is_depth_kept: bool = Field(
        True,
        description="Keep the grey levels of images of more than 8 bits, about three times the room of the picture.",
    )
    encoders: dict[_Name, Path] = Field(
        default_factory=dict,
        description="Encoders with weights: name to local folder, as JSON; a run names one, or `statistics`.",
    )
    is_int8_used: bool = Field(
        True, description="Take an encoder's image tower in whole numbers where its folder has one."
    )
    is_modality_guessed: bool = Field(
        True,
        description="Guess a modality that nobody tells, by an encoder with a text tower; each guess is marked as one.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where encoders with weights run; auto: a GPU if any."
    )

    @field_validator("encoders")
    @classmethod
    def _statistics_is_taken(cls, encoders: dict[str, Path]) -> dict[str, Path]:
        if STATISTICS in encoders:
            raise ValueError(f"{STATISTICS} is the name of the encoder without weights")
        return encoders

    @property
    def has_public_key(self) -> bool:
        """Whether everybody knows the key, and so can find out whose a hash is."""
        return self.hash_key.get_secret_value() == _PUBLIC_KEY
