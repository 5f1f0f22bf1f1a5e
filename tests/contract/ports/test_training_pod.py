"""The program in the pod, really training: processes that share nothing with the launcher but a log and S3."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.training.adapters.job_process import REPOSITORY, JobProcess
from services.training.adapters.kubernetes_launcher import kubernetes_launcher
from services.training.adapters.subprocess_launcher import SubprocessLauncher
from services.training.job.log import TrainingProgress
from services.training.job.spec import TrainingJob
from services.training.settings import KubernetesSection, TrainingSettings
from shared.objects.dataset import read_manifest
from shared.objects.s3 import S3ObjectStore
from shared.settings import S3Section
from tests.contract.ports.test_s3_object_store import section_for_a_test
from tests.support.cluster import FakeCluster, served
from tests.support.training_inputs import put_inputs


@pytest.fixture
def section(s3: str) -> Iterator[S3Section]:
    yield from section_for_a_test(s3)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_pod_that_is_killed_ends_with_the_model_of_an_undisturbed_child_process(
    section: S3Section, tmp_path: Path
) -> None:
    objects = S3ObjectStore(section)
    model, dataset = put_inputs(objects, tmp_path)
    job = TrainingJob(
        key="ab" * 32,
        model_uri=model,
        dataset_uri=dataset,
        learning_rate=1e-3,
        epochs=6,
        batch_size=2,
        checkpoint_every=4,
    )
    cluster = FakeCluster({"training": REPOSITORY}, tmp_path / "pods")
    cluster.secrets = {("s3", "user"): section.access_key, ("s3", "password"): section.secret_key.get_secret_value()}
    names = {"MEDQ_TRAINING_S3__ACCESS_KEY": "s3/user", "MEDQ_TRAINING_S3__SECRET_KEY": "s3/password"}
    steps: list[int] = []

    def show(step: TrainingProgress) -> None:
        steps.append(step.step)

    def has_checkpoint() -> bool:
        notes = [found["metadata"]["annotations"]["medq.io/checkpoint"] for found in cluster.jobs()]
        return any(notes)

    with served(cluster, tmp_path) as kubeconfig, ThreadPoolExecutor(1) as pool:
        settings = TrainingSettings(
            device="cpu",
            s3=section,
            kubernetes=KubernetesSection(
                namespace="medq", image="training", kubeconfig=kubeconfig, poll_seconds=0.05, env_from_secret_keys=names
            ),
        )
        running = pool.submit(kubernetes_launcher(settings).run, job, show, lambda: False)
        cluster.wait_for(has_checkpoint, 180)
        (pod,) = cluster.processes
        cluster.kill_pod(pod)
        uri = running.result(200)
    assert len(cluster.processes) == 2
    assert "--checkpoint" in cluster.jobs()[-1]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert steps == list(range(1, 25))
    assert read_manifest(objects, uri, "model").parents == (model, dataset)
    beside = SubprocessLauncher(objects, tmp_path / "state", JobProcess(), "cpu")
    assert beside.run(job, lambda step: None, lambda: False) == uri
