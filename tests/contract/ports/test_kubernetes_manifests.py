"""What a real API server says of the manifests, in a namespace that enforces PodSecurity "restricted".

`MEDQ_TEST_KUBERNETES` names a kubeconfig; without it these are skipped.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kubernetes import client, watch

from services.training.adapters.kubernetes_manifest import job_manifest, service_manifest
from services.training.settings import KubernetesSection, TrainingSettings
from services.training.spec import TrainingJob
from shared.kubernetes_api import connect
from shared.settings import S3Section

JOB = TrainingJob(key="ab" * 32, model_uri="sha256:" + "0" * 64, dataset_uri="sha256:" + "1" * 64)
FORMS = {
    "one_process": {},
    "gpus": {
        "gpus": 8,
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    },
    "nodes": {"gpus": 8, "nodes": 4, "node_selector": {"gpu": "h200"}},
    "secrets": {
        "env_from_secrets": ["s3"],
        "env_from_config_maps": ["medq"],
        "env_from_secret_keys": {"MEDQ_TRAINING_S3__SECRET_KEY": "s3/key"},
        "image_pull_secrets": ["registry"],
        "ca_secret": "ca",
    },
}


@pytest.fixture(scope="module")
def api() -> client.ApiClient:
    kubeconfig = os.environ.get("MEDQ_TEST_KUBERNETES", "")
    if not kubeconfig:
        pytest.skip("no Kubernetes here: set MEDQ_TEST_KUBERNETES to a kubeconfig")
    warnings.filterwarnings("ignore", "Unverified HTTPS request")  # its certificate may be its own
    return connect(Path(kubeconfig))


@pytest.fixture(scope="module")
def namespace(api: client.ApiClient) -> Iterator[str]:
    core: Any = client.CoreV1Api(api)
    name = f"medq-test-{uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    core.create_namespace({"metadata": {"name": name, "labels": labels}})
    accounts = watch.Watch().stream(core.list_namespaced_service_account, name, timeout_seconds=30)
    next(iter(accounts))  # a controller makes it; pods are refused before
    yield name
    core.delete_namespace(name)


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("form", FORMS)
def test_api_server_takes_the_job_and_admits_its_pods(
    api: client.ApiClient, namespace: str, form: str
) -> None:
    section = KubernetesSection.model_validate(
        {"namespace": namespace, "image": "medq-training:1"} | FORMS[form]
    )
    settings = TrainingSettings(kubernetes=section, s3=S3Section(endpoint="https://s3:9000"))
    job = job_manifest(JOB, 1, "sha256:" + "2" * 64, namespace, settings)
    batch: Any = client.BatchV1Api(api)
    core: Any = client.CoreV1Api(api)
    strict = {"dry_run": "All", "field_validation": "Strict"}
    made = batch.create_namespaced_job(namespace, job, **strict)
    assert made.spec.completions == section.nodes
    # A Job's pods are admitted when they are made, so one is shown to the admission by itself.
    pod = {"metadata": {"name": "training"}, "spec": job["spec"]["template"]["spec"]}
    core.create_namespaced_pod(namespace, pod, **strict)
    service = service_manifest(made.metadata.name, "uid", namespace)
    core.create_namespaced_service(namespace, service, **strict)
