"""The manifests of a training job: a Job that PodSecurity "restricted" admits, and the headless Service of several nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from services.training.job.spec import TrainingJob
from services.training.settings import KubernetesSection, TrainingSettings
from shared.settings import S3Section, environment_of

Manifest = dict[str, Any]

KEY_LABEL = "medq.io/training"
ATTEMPT_LABEL = "medq.io/attempt"
CHECKPOINT_ANNOTATION = "medq.io/checkpoint"
MASTER_PORT = 29_500
SCRATCH = "/work"
_CA_FOLDER = "/etc/medq/ca"
_COMPONENT = {"app.kubernetes.io/name": "medq-engine", "app.kubernetes.io/component": "training-job"}


def key_label(key: str) -> str:
    """A job's key as a label, which has at most 63 characters."""
    return key[:40]


def job_manifest(
    job: TrainingJob, attempt: int, checkpoint_uri: str, namespace: str, settings: TrainingSettings
) -> Manifest:
    """One attempt at a job. It fails as a whole when one of its pods does; the launcher starts the next one.

    Args:
        job: What to train.
        attempt: From 1; the name holds it.
        checkpoint_uri: Where to go on from; "" from the beginning.
        namespace: Where it will be.
        settings: Of the training service.
    """
    section = settings.kubernetes
    name = f"medq-training-{job.key[:16]}-{attempt}"
    labels = section.labels | _COMPONENT | {KEY_LABEL: key_label(job.key), ATTEMPT_LABEL: str(attempt)}
    spec: Manifest = {
        "completions": section.nodes,
        "parallelism": section.nodes,
        "completionMode": "Indexed" if section.nodes > 1 else "NonIndexed",
        "backoffLimit": 0,  # a pod of the same manifest would begin at an old checkpoint
        "ttlSecondsAfterFinished": section.ttl_seconds,
        "template": {
            "metadata": {"labels": labels},
            "spec": _pod(name, _arguments(job, name, checkpoint_uri, section), settings),
        },
    }
    annotations = {CHECKPOINT_ANNOTATION: checkpoint_uri}
    metadata = {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def service_manifest(job_name: str, job_uid: str, namespace: str) -> Manifest:
    """The headless Service by which the pods of a job find its first one; it goes when the Job goes."""
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job_name, "uid": job_uid}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": job_name, "namespace": namespace, "labels": _COMPONENT, "ownerReferences": [owner]},
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,  # they meet before they are ready
            "selector": {"batch.kubernetes.io/job-name": job_name},
            "ports": [{"name": "rendezvous", "port": MASTER_PORT}],
        },
    }


def _literal(text: str) -> str:
    """A text that Kubernetes puts no variables of the pod into, such as the object store's key for `$(NAME)`."""
    return text.replace("$", "$$")


def _arguments(job: TrainingJob, name: str, checkpoint_uri: str, section: KubernetesSection) -> list[str]:
    arguments = ["--job", _literal(job.model_dump_json())]
    if checkpoint_uri:
        arguments += ["--checkpoint", _literal(checkpoint_uri)]
    if section.gpus:
        arguments += ["--processes", str(section.gpus)]
    if section.nodes > 1:
        meeting = f"{name}-0.{name}:{MASTER_PORT}"
        arguments += ["--nodes", str(section.nodes), "--rank", "$(MEDQ_NODE_RANK)", "--master", meeting]
    return arguments


def _pod(name: str, arguments: list[str], settings: TrainingSettings) -> Manifest:
    section = settings.kubernetes
    volumes: list[Manifest] = [
        {"name": "scratch", "emptyDir": {"sizeLimit": section.scratch}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": section.shared_memory}},
    ]
    if section.ca_secret:
        volumes.append({"name": "ca", "secret": {"secretName": section.ca_secret}})
    pod: Manifest = {
        "restartPolicy": "Never",
        "serviceAccountName": section.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "imagePullSecrets": [{"name": secret} for secret in section.image_pull_secrets],
        "nodeSelector": section.node_selector,
        "tolerations": section.tolerations,
        "volumes": volumes,
        "containers": [_container(arguments, settings)],
    }
    if section.nodes > 1:
        pod["subdomain"] = name
    return pod


def _container(arguments: list[str], settings: TrainingSettings) -> Manifest:
    section = settings.kubernetes
    gpus = {section.gpu_resource: str(section.gpus)} if section.gpus else {}
    mounts: list[Manifest] = [
        {"name": "scratch", "mountPath": SCRATCH},
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "shared-memory", "mountPath": "/dev/shm"},
    ]
    if section.ca_secret:
        mounts.append({"name": "ca", "mountPath": _CA_FOLDER, "readOnly": True})
    return {
        "name": "training",
        "image": section.image,
        "imagePullPolicy": section.image_pull_policy,
        "command": ["python", "-m", "services.training.adapters.kubernetes_pod"],
        "args": arguments,
        "env": _environment(settings),
        "envFrom": [
            *({"configMapRef": {"name": name}} for name in section.env_from_config_maps),
            *({"secretRef": {"name": name}} for name in section.env_from_secrets),
        ],
        "resources": {
            "requests": {"cpu": section.cpu, "memory": section.memory, **gpus},
            "limits": {"memory": section.memory, **gpus},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }


def _environment(settings: TrainingSettings) -> list[Manifest]:
    """What the pod needs to know of the service's settings, but for secrets, which it takes from where they lie."""
    section, store = settings.kubernetes, settings.s3
    plain = {"HOME": "/tmp"} | environment_of(
        TrainingSettings,
        state_folder=SCRATCH,
        device=settings.device,
        n_torch_threads=settings.n_torch_threads,
        s3=S3Section(
            endpoint=store.endpoint,
            bucket=store.bucket,
            prefix=store.prefix,
            region=store.region,
            ca_file=Path(_CA_FOLDER, "ca.crt") if section.ca_secret else None,
        ),
    )
    environment: list[Manifest] = [{"name": name, "value": value} for name, value in plain.items()]
    for name, place in sorted(section.env_from_secret_keys.items()):
        secret, _, key = place.partition("/")
        reference = {"secretKeyRef": {"name": secret, "key": key}}
        environment.append({"name": name, "valueFrom": reference})
    if section.nodes > 1:
        index = {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}
        environment.append({"name": "MEDQ_NODE_RANK", "valueFrom": {"fieldRef": index}})
    return environment
