"""What a real API server says of the manifests, in a namespace that enforces PodSecurity "restricted".

`MEDQ_TEST_KUBECONFIG` names a kubeconfig; without it these are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from kubernetes import client

from services.evaluation.adapters.model_deployment import ModelDeployment
from services.evaluation.settings import VllmSection
from services.training.adapters.job_process import REPOSITORY
from services.training.adapters.kubernetes_manifest import job_manifest, service_manifest
from services.training.job.spec import TrainingJob
from services.training.settings import KubernetesSection, TrainingSettings
from shared.settings import S3Section
from tests.support.kubernetes_node import real_api, restricted_namespace

JOB = TrainingJob(key="ab" * 32, model_uri="sha256:" + "0" * 64, dataset_uri="sha256:" + "1" * 64, batch_size=8)
FORMS = {
    "one_process": {},
    "gpus": {"gpus": 8, "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]},
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
    return real_api()


@pytest.fixture(scope="module")
def namespace(api: client.ApiClient) -> Iterator[str]:
    with restricted_namespace(api) as name:
        yield name


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("form", FORMS)
def test_api_server_takes_the_job_and_admits_its_pods(api: client.ApiClient, namespace: str, form: str) -> None:
    section = KubernetesSection.model_validate({"namespace": namespace, "image": "medq-training:1"} | FORMS[form])
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


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_api_server_takes_the_documented_model_server_and_admits_its_pods(
    api: client.ApiClient, namespace: str
) -> None:
    page = (REPOSITORY / "docs" / "deployment-vllm.md").read_text()
    deployment, service = yaml.safe_load_all(page.partition("```yaml\n")[2].partition("```")[0])
    apps: Any = client.AppsV1Api(api)
    core: Any = client.CoreV1Api(api)
    strict = {"dry_run": "All", "field_validation": "Strict"}
    apps.create_namespaced_deployment(namespace, deployment, **strict)
    core.create_namespaced_service(namespace, service, **strict)
    pod = {"metadata": {"name": "vllm"}, "spec": deployment["spec"]["template"]["spec"]}
    core.create_namespaced_pod(namespace, pod, **strict)
    made = apps.create_namespaced_deployment(namespace, deployment | {"spec": deployment["spec"] | {"replicas": 0}})
    section = VllmSection(deployment=made.metadata.name, namespace=namespace)
    ModelDeployment(api, section).serve(JOB.model_uri)
    template = apps.read_namespaced_deployment("vllm", namespace).spec.template
    served = [
        variable.value
        for container in [*template.spec.init_containers, *template.spec.containers]
        for variable in container.env
        if variable.name == "MEDQ_MODEL_URI"
    ]
    assert served == [JOB.model_uri, JOB.model_uri]
    assert template.metadata.annotations == {"medq.io/model": JOB.model_uri}
    assert len(template.spec.init_containers[0].env) == 5
