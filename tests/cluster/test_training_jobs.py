"""Training on a real Kubernetes node, as pods of the training image.

`MEDQ_TEST_KUBECONFIG` names the cluster, `MEDQ_TEST_TRAINING_IMAGE` the training image on its node, `MEDQ_TEST_CLUSTER_S3` the S3
endpoint as pods and this machine reach it (http://access:secret@host:port). Without them these are skipped.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, watch

from services.training.adapters.job_process import JobProcess
from services.training.adapters.kubernetes_launcher import KubernetesLauncher, kubernetes_launcher
from services.training.adapters.subprocess_launcher import SubprocessLauncher
from services.training.job.spec import TrainingJob
from services.training.settings import KubernetesSection, TrainingSettings
from shared.errors import Cancelled
from shared.objects.s3 import S3ObjectStore
from shared.settings import S3Section
from tests.contract.ports.test_s3_object_store import section_for_a_test
from tests.support.kubernetes_node import real_api, restricted_namespace, wanted
from tests.support.training_inputs import put_inputs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@dataclass
class Node:
    """A namespace of a real cluster, and inputs in an S3 store that its pods reach."""

    namespace: str
    s3: S3Section
    image: str
    kubeconfig: Path
    batch: Any
    core: Any
    job: TrainingJob
    objects: S3ObjectStore

    def launcher(self, **changes: object) -> KubernetesLauncher:
        section = {
            "namespace": self.namespace,
            "image": self.image,
            "kubeconfig": self.kubeconfig,
            "cpu": "100m",
            "memory": "2Gi",
            "scratch": "1Gi",
            "shared_memory": "64Mi",
            "poll_seconds": 0.2,
            "env_from_secrets": ["s3"],
        }
        return kubernetes_launcher(
            TrainingSettings(device="cpu", s3=self.s3, kubernetes=KubernetesSection.model_validate(section | changes))
        )

    def wait_for_checkpoint(self) -> None:
        """Wait until a checkpoint is noted on a Job."""
        for event in watch.Watch().stream(self.batch.list_namespaced_job, self.namespace, timeout_seconds=300):
            if event["object"].metadata.annotations["medq.io/checkpoint"]:
                return
        raise AssertionError("no checkpoint was noted")

    def pods(self) -> list[str]:
        return [pod.metadata.name for pod in self.core.list_namespaced_pod(self.namespace).items]

    def wait_until_no_pods(self) -> None:
        for _ in watch.Watch().stream(self.core.list_namespaced_pod, self.namespace, timeout_seconds=120):
            if not self.pods():
                return
        assert not self.pods()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    api, image = real_api(), wanted("MEDQ_TEST_TRAINING_IMAGE")
    kubeconfig = Path(wanted("MEDQ_TEST_KUBECONFIG"))
    batch, core = client.BatchV1Api(api), client.CoreV1Api(api)
    for section in section_for_a_test(wanted("MEDQ_TEST_CLUSTER_S3")):
        objects = S3ObjectStore(section)
        model, dataset = put_inputs(objects, tmp_path)
        job = TrainingJob(
            key="cd" * 32,
            model_uri=model,
            dataset_uri=dataset,
            learning_rate=1e-3,
            epochs=10,
            batch_size=2,
            checkpoint_every=4,
        )
        with restricted_namespace(api) as namespace:
            found = Node(namespace, section, image, kubeconfig, batch, core, job, objects)
            keys = {
                "MEDQ_TRAINING_S3__ACCESS_KEY": section.access_key,
                "MEDQ_TRAINING_S3__SECRET_KEY": section.secret_key.get_secret_value(),
            }
            found.core.create_namespaced_secret(namespace, {"metadata": {"name": "s3"}, "stringData": keys})
            yield found


def test_deleted_pod_is_gone_on_from_and_the_model_is_that_of_a_child_process(node: Node, tmp_path: Path) -> None:
    steps: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(node.launcher().run, node.job, lambda step: steps.append(step.step), lambda: False)
        node.wait_for_checkpoint()
        node.core.delete_namespaced_pod(node.pods()[0], node.namespace, grace_period_seconds=0)
        uri = running.result(600)
    jobs = node.batch.list_namespaced_job(node.namespace).items
    assert [job.metadata.labels["medq.io/attempt"] for job in jobs] == ["1", "2"]
    assert steps == list(range(1, 41))
    beside = SubprocessLauncher(node.objects, tmp_path / "state", JobProcess(), "cpu")
    assert beside.run(node.job, lambda step: None, lambda: False) == uri


def test_cancelled_training_leaves_no_job_and_no_pod(node: Node) -> None:
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(node.launcher().run, node.job, lambda step: stop.set(), stop.is_set)
        with pytest.raises(Cancelled):
            running.result(600)
    node.wait_until_no_pods()
    assert not node.batch.list_namespaced_job(node.namespace).items


def test_two_nodes_find_each_other_and_train_one_model(node: Node) -> None:
    steps: list[int] = []
    uri = node.launcher(nodes=2).run(node.job, lambda step: steps.append(step.step), lambda: False)
    assert node.objects.exists(uri)
    assert steps == list(range(1, 41))
    (job,) = node.batch.list_namespaced_job(node.namespace).items
    assert (job.spec.completion_mode, job.spec.completions) == ("Indexed", 2)
