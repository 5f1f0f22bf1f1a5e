"""Settings of the evaluation service."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from shared.settings import EndpointSettings, InputSettings, Section


class VllmSection(Section):
    """Answers from an OpenAI-compatible server; environment names begin with `MEDQ_EVALUATION_VLLM__`."""

    base_url: str = Field("", description="http(s)://host:port/v1; empty: transformers in this process.")
    api_key: SecretStr = Field(SecretStr(""), description="Bearer token of the server, if it asks for one.")
    ca_file: Path | None = Field(None, description="Authority that signed the server's certificate (PEM).")
    concurrency: int = Field(16, ge=1, le=1024, description="Requests in flight.")
    request_seconds: float = Field(120.0, gt=0, description="How long one request may take.")
    retries: int = Field(5, ge=0, le=20, description="Times a request is sent again after a passing error.")
    deployment: str = Field(
        "", description="Deployment that is patched to serve another model; empty: someone else sees to that."
    )
    namespace: str = Field("", description="Namespace of the Deployment.")
    kubeconfig: Path | None = Field(None, description="How the cluster is reached; empty: as the pod's account.")
    rollout_seconds: float = Field(1800.0, gt=0, description="How long a swap of the model may take.")
    drain_seconds: float = Field(
        120.0, ge=0, description="How long requests in flight may take before a swap is given up."
    )
    poll_seconds: float = Field(2.0, gt=0, description="Time between two looks at a rollout.")


class EvaluationSettings(InputSettings, EndpointSettings):
    """`MEDQ_EVALUATION_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="MEDQ_EVALUATION_", frozen=True, extra="forbid")

    operation_workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Operations that run at the same time, each with a model in memory; with vllm one. "
        "`medq run` without a GPU: one a core.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where models run; auto: a GPU if any.")
    batch_size: int = Field(64, ge=1, le=4096, description="Prompts that a model answers at a time.")
    batch_answers: int = Field(
        320, ge=1, le=100_000, description="Answers made and stored at a time; what a kill may cost."
    )
    n_torch_threads: int = Field(1, ge=1, le=256, description="CPU threads of a model; more are slow if shared.")
    vllm: VllmSection = Field(default_factory=VllmSection, description="Models on an OpenAI-compatible server.")
