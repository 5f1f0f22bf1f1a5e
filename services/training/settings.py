"""Settings of the training service."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import InputSettings, Section


class KubernetesSection(Section):
    """Training as Kubernetes Jobs; environment names begin with `MEDQ_TRAINING_KUBERNETES__`, lists and maps are JSON."""

    namespace: str = Field("", description="Where Jobs are made; empty: child processes on this machine.")
    kubeconfig: Path | None = Field(None, description="How the cluster is reached; empty: as the pod's account.")
    image: str = Field("", description="Image of the training service, which the job's pods run.")
    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = Field(
        "IfNotPresent", description="When nodes pull it."
    )
    image_pull_secrets: list[str] = Field(default_factory=list, description="Secrets to pull it with.")
    service_account: str = Field("default", description="Of the job's pods; its token is not mounted.")
    nodes: int = Field(1, ge=1, le=1024, description="Pods of a job; more than one make an Indexed Job.")
    gpus: int = Field(0, ge=0, le=64, description="GPUs, and processes, of each pod; 0: one process on the CPU.")
    gpu_resource: str = Field("nvidia.com/gpu", description="The resource that GPUs are asked for by.")
    cpu: str = Field("2", description="CPU request of a pod.")
    memory: str = Field("8Gi", description="Memory request and limit of a pod.")
    scratch: str = Field("20Gi", description="Size limit of the pod's folder for inputs, checkpoints, result.")
    shared_memory: str = Field("1Gi", description="Size of /dev/shm, which processes of one pod exchange data by.")
    node_selector: dict[str, str] = Field(default_factory=dict, description="Labels of the nodes to run on.")
    tolerations: list[dict[str, str | int]] = Field(
        default_factory=list, description="Tolerations, as in a pod's manifest."
    )
    labels: dict[str, str] = Field(
        default_factory=dict, description="Put on Jobs and pods, such as what a NetworkPolicy selects."
    )
    env_from_secrets: list[str] = Field(
        default_factory=list, description="Secrets whose keys become the pods' environment."
    )
    env_from_config_maps: list[str] = Field(
        default_factory=list, description="ConfigMaps whose keys become the pods' environment."
    )
    env_from_secret_keys: dict[str, str] = Field(
        default_factory=dict, description='Single variables: {"MEDQ_TRAINING_S3__SECRET_KEY": "<secret>/<key>"}.'
    )
    ca_secret: str = Field("", description="Secret with the object store's authority as `ca.crt`.")
    ttl_seconds: int = Field(
        86_400, ge=60, description="How long an ended Job stays: to be looked at, and to go on from its checkpoint."
    )
    start_seconds: float = Field(
        3600.0, gt=0, description="How long pods may wait for a node and their image before the job fails."
    )
    attempts: int = Field(5, ge=1, description="Pods that may be lost before the training fails.")
    poll_seconds: float = Field(2.0, gt=0, description="Time between two looks at a job and its log.")


class TrainingSettings(InputSettings):
    """What the training service needs to run; environment names begin with `MEDQ_TRAINING_`."""

    model_config = SettingsConfigDict(env_prefix="MEDQ_TRAINING_", frozen=True, extra="forbid")

    operation_workers: int = Field(
        2, ge=1, le=64, description="Operations that run at the same time. `medq run`: one a core, or a GPU."
    )
    device: Literal["auto", "cpu"] = Field("auto", description='"auto" takes a GPU where there is one.')
    n_torch_threads: int = Field(1, ge=1, description="Threads of a job on a CPU.")
    checkpoint_every: int = Field(200, ge=1, description="Optimiser steps between checkpoints of a job.")
    kubernetes: KubernetesSection = Field(default_factory=KubernetesSection, description="Training as Kubernetes Jobs.")
