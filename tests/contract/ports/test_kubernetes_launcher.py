"""`KubernetesLauncher` through the real client, on a cluster whose pods are processes that a test steers."""

from __future__ import annotations

import os
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from services.training.adapters.kubernetes_launcher import KubernetesLauncher, kubernetes_launcher
from services.training.job.log import TrainingProgress
from services.training.job.spec import TrainingJob
from services.training.settings import KubernetesSection, TrainingSettings
from shared.errors import Cancelled, FailedPrecondition, Internal, InvalidArgument, PermissionDenied
from shared.settings import S3Section
from tests.support.cluster import FakeCluster, served

MODEL, DATASET, CHECKPOINT, RESULT = ("sha256:" + digit * 64 for digit in "abcd")
JOB = TrainingJob(key="0123456789abcdef" * 4, model_uri=MODEL, dataset_uri=DATASET, batch_size=8)
#: What a stand-in for the program in the pod begins with. `wait()` lasts until the test opens the gate.
_PROGRAM = """
import json, sys, os, signal
def tell(kind, **content):
    print(json.dumps({"medq_training": kind, **content}), flush=True)
def step(n):
    tell("progress", step=n, n_steps=4, loss=1.0 / n, learning_rate=0.1)
def wait():
    open("gate").read()
given = sys.argv[sys.argv.index("--checkpoint") + 1] if "--checkpoint" in sys.argv else ""
"""


class House:
    """A cluster with one image, whose program a test writes, and launchers on it."""

    def __init__(self, folder: Path, cluster: FakeCluster, kubeconfig: Path) -> None:
        self.folder, self.cluster, self.kubeconfig = folder, cluster, kubeconfig
        self.steps: list[int] = []
        self.stop = threading.Event()
        self.saw = threading.Condition()
        self._pool = ThreadPoolExecutor(4)

    def program(self, script: str) -> None:
        package = self.folder / "image" / "services" / "training" / "adapters"
        package.mkdir(parents=True, exist_ok=True)
        (package / "kubernetes_pod.py").write_text(_PROGRAM + textwrap.dedent(script))

    def launcher(self, **changes: object) -> KubernetesLauncher:
        section = {"namespace": "medq", "image": "job", "kubeconfig": self.kubeconfig, "poll_seconds": 0.02}
        return kubernetes_launcher(
            TrainingSettings(
                kubernetes=KubernetesSection.model_validate(section | changes),
                s3=S3Section(endpoint="http://127.0.0.1:9"),
            )
        )

    def show(self, step: TrainingProgress) -> None:
        with self.saw:
            self.steps.append(step.step)
            self.saw.notify_all()

    def run(self, launcher: KubernetesLauncher | None = None) -> Future[str]:
        """Run the job in a thread."""
        return self._pool.submit((launcher or self.launcher()).run, JOB, self.show, self.stop.is_set)

    def wait_for_step(self, number: int) -> None:
        with self.saw:
            assert self.saw.wait_for(lambda: number in self.steps, 50)

    def open_gate(self) -> None:
        """Let a program that waits go on."""
        with (self.folder / "image" / "gate").open("w"):
            pass

    def the_pod(self) -> str:
        """The pod that runs."""
        (name,) = [name for name, process in self.cluster.processes.items() if process.is_running]
        return name


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    image = tmp_path / "image"
    image.mkdir()
    os.mkfifo(image / "gate")
    cluster = FakeCluster({"job": image}, tmp_path / "pods")
    with served(cluster, tmp_path) as kubeconfig:
        yield House(tmp_path, cluster, kubeconfig)


def test_steps_and_result_come_from_the_log_of_a_job(house: House) -> None:
    house.program(f"print('noise {{'); step(1); step(2); tell('result', uri='{RESULT}')")
    assert house.run().result(50) == RESULT
    assert house.steps == [1, 2]


def test_job_is_named_by_the_training_and_asks_for_what_the_settings_say(house: House) -> None:
    house.program(f"tell('result', uri='{RESULT}')")
    launcher = house.launcher(gpus=2, ttl_seconds=3600, tolerations=[{"key": "gpu", "operator": "Exists"}])
    house.run(launcher).result(50)
    (job,) = house.cluster.jobs()
    assert job["metadata"]["name"] == "medq-training-0123456789abcdef-1"
    assert job["spec"]["ttlSecondsAfterFinished"] == 3600
    pod = job["spec"]["template"]["spec"]
    assert pod["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    (container,) = pod["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert container["args"][-2:] == ["--processes", "2"]


def test_killed_pod_goes_on_from_the_newest_checkpoint_and_steps_are_shown_once(house: House) -> None:
    house.program(
        f"""
        if not given:
            step(1); tell("checkpoint", uri="sha256:" + "0" * 64, name="checkpoint-1")
            step(2); tell("checkpoint", uri="{CHECKPOINT}", name="checkpoint-2")
            step(3); wait()
        step(3); step(4); tell("result", uri="{RESULT}" if given == "{CHECKPOINT}" else "wrong")
        """
    )
    running = house.run()
    house.wait_for_step(3)
    house.cluster.kill_pod(house.the_pod())
    assert running.result(50) == RESULT
    assert house.steps == [1, 2, 3, 4]
    assert [job["metadata"]["labels"]["medq.io/attempt"] for job in house.cluster.jobs()][-1] == "2"


def test_deleted_pod_and_deleted_job_are_gone_on_from(house: House) -> None:
    house.program(
        f"""
        if given != "{CHECKPOINT}":
            tell("checkpoint", uri="{CHECKPOINT}" if given else "sha256:" + "0" * 64, name="x")
            step(2 if given else 1); wait()
        tell("result", uri="{RESULT}")
        """
    )
    running = house.run()
    house.wait_for_step(1)
    house.cluster.delete("pods", house.the_pod())
    house.wait_for_step(2)
    house.cluster.delete("jobs", "medq-training-0123456789abcdef-2")
    assert running.result(50) == RESULT


def test_restarted_service_follows_the_job_that_runs(house: House) -> None:
    house.program(f"step(1); wait(); step(2); tell('result', uri='{RESULT}')")

    class Drained(Exception):
        pass

    def is_draining() -> bool:
        if house.stop.is_set():
            raise Drained
        return False

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(house.launcher().run, JOB, house.show, is_draining)
        house.wait_for_step(1)
        house.stop.set()
        with pytest.raises(Drained):
            first.result(50)
    house.stop.clear()
    second = house.run()
    house.open_gate()
    assert second.result(50) == RESULT
    assert house.steps == [1, 1, 2]
    assert len(house.cluster.processes) == 1


def test_finished_job_is_not_run_again(house: House) -> None:
    house.program(f"tell('result', uri='{RESULT}')")
    launcher = house.launcher(ttl_seconds=86_400)
    assert [house.run(launcher).result(50) for _ in range(2)] == [RESULT, RESULT]
    assert len(house.cluster.processes) == 1


def test_cancelled_job_is_deleted_with_its_pods(house: House) -> None:
    house.program("step(1); signal.pause()")
    running = house.run()
    house.wait_for_step(1)
    house.stop.set()
    with pytest.raises(Cancelled):
        running.result(50)
    assert house.cluster.objects == {}


def test_typed_error_of_the_job_is_raised_and_a_retry_begins_a_new_job(house: House) -> None:
    house.program("tell('error', reason='INVALID_ARGUMENT', message='too long', field='id', value='s7'); sys.exit(1)")
    with pytest.raises(InvalidArgument, match="too long") as caught:
        house.run().result(50)
    assert (caught.value.field, caught.value.value) == ("id", "s7")
    house.program(f"tell('result', uri='{RESULT}')")
    assert house.run().result(50) == RESULT


def test_death_without_an_error_carries_the_end_of_the_log(house: House) -> None:
    house.program("step(1); sys.exit('the weights are broken')")
    with pytest.raises(Internal, match=r"(?s)exit code 1.*the weights are broken"):
        house.run().result(50)


def test_pods_that_are_lost_again_and_again_are_given_up(house: House) -> None:
    house.program("os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(Internal, match=r"lost its pods 2 times.*137"):
        house.run(house.launcher(attempts=2)).result(50)
    assert len(house.cluster.processes) == 2


def test_object_store_that_is_away_is_tried_again_by_the_next_pod(house: House) -> None:
    house.program(
        f"""
        if not os.path.exists("second"):
            open("second", "w"); tell("error", reason="UNAVAILABLE", message="no store"); sys.exit(1)
        tell("result", uri="{RESULT}")
        """
    )
    assert house.run().result(50) == RESULT


def test_api_server_that_is_away_for_a_while_loses_and_doubles_nothing(house: House) -> None:
    house.program(f"step(1); wait(); step(2); step(3); tell('result', uri='{RESULT}')")
    running = house.run()
    house.wait_for_step(1)
    house.cluster.is_down = True
    house.open_gate()
    house.cluster.wait_for(lambda: not any(p.is_running for p in house.cluster.processes.values()))
    house.cluster.is_down = False
    assert running.result(50) == RESULT
    assert house.steps == [1, 2, 3]


def test_image_that_cannot_be_pulled_is_named(house: House) -> None:
    with pytest.raises(FailedPrecondition, match="ImagePullBackOff"):
        house.run(house.launcher(image="none", start_seconds=0.01)).result(50)
    assert house.cluster.objects == {}


def test_ended_job_goes_after_its_time_to_live(house: House) -> None:
    house.program(f"tell('result', uri='{RESULT}')")
    house.run(house.launcher(ttl_seconds=60)).result(50)
    house.cluster.wait_for(lambda: house.cluster.jobs()[0]["status"])
    house.cluster.expire_jobs(59)
    assert len(house.cluster.jobs()) == 1
    house.cluster.expire_jobs(60)
    assert house.cluster.objects == {}


def test_several_nodes_are_an_indexed_job_that_meets_at_its_first_pod(house: House) -> None:
    house.program(
        f"""
        rank = sys.argv[sys.argv.index("--rank") + 1]
        assert sys.argv[sys.argv.index("--master") + 1].startswith("127.0.0.1:")
        if rank == "0": wait()  # as a real node waits until the Service makes its name known
        step(1 if rank == "0" else 9)
        if rank == "0": tell("result", uri="{RESULT}")
        """
    )
    running = house.run(house.launcher(nodes=2))
    house.cluster.wait_for(lambda: any(kind == "services" for kind, _ in house.cluster.objects))
    house.open_gate()
    assert running.result(50) == RESULT
    assert house.steps == [1]
    (job,) = house.cluster.jobs()
    assert (job["spec"]["completionMode"], job["spec"]["completions"]) == ("Indexed", 2)
    service = house.cluster.objects["services", job["metadata"]["name"]]
    assert service["spec"]["clusterIP"] == "None"
    assert service["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]


def test_right_that_is_missing_is_named_and_the_job_is_followed_once_it_is_given(house: House) -> None:
    house.program(f"step(1); wait(); tell('result', uri='{RESULT}')")
    house.cluster.forbidden = {("GET", "pods")}
    with pytest.raises(PermissionDenied, match="403"):
        house.run().result(50)
    house.cluster.forbidden = set()
    again = house.run()
    house.open_gate()
    assert again.result(50) == RESULT
    assert len(house.cluster.processes) == 1


def test_settings_without_an_image_or_a_store_that_pods_reach_are_refused(house: House) -> None:
    section = KubernetesSection(namespace="medq", kubeconfig=house.kubeconfig)
    with pytest.raises(InvalidArgument) as caught:
        kubernetes_launcher(TrainingSettings(kubernetes=section))
    assert caught.value.field == "kubernetes.image"
    with pytest.raises(InvalidArgument) as caught:
        kubernetes_launcher(
            TrainingSettings(kubernetes=KubernetesSection.model_validate(dict(section) | {"image": "job"}))
        )
    assert caught.value.field == "s3.endpoint"
