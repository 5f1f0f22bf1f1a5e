"""The swap of the served model: real clients before a cluster and a vLLM that are fakes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from services.evaluation.adapters.fetch_model import fetch_model
from services.evaluation.adapters.vllm_model_server import VllmModelServer, vllm_model_server
from services.evaluation.ports import Prompt, Sampling
from services.evaluation.settings import VllmSection
from shared.errors import Cancelled, DeadlineExceeded, FailedPrecondition, InvalidArgument, Unavailable
from shared.objects.folder import FolderObjectStore
from tests.support.cluster import FakeCluster, served
from tests.support.evaluation import put_dataset, put_model
from tests.support.vllm import DEPLOYMENT, FakeVllm, Rollout, served_vllm

PROMPT = Prompt("item", 0, np.zeros((2, 2, 3), dtype=np.uint8), "Which?")


def go_on() -> None:
    """Nobody calls it off."""


class House:
    """Two stored models, the first of them served."""

    def __init__(self, folder: Path, kubeconfig: Path, cluster: FakeCluster, vllm: FakeVllm) -> None:
        self.objects = FolderObjectStore(folder / "objects", synced=False)
        self.first, self.second = put_model(self.objects, "first"), put_model(self.objects, "second")
        self.cluster, self.vllm, self.kubeconfig = cluster, vllm, kubeconfig
        self.rollout = Rollout(cluster, vllm, self.first)

    def server(self, **changes: object) -> VllmModelServer:
        section = {
            "base_url": self.vllm.base_url,
            "deployment": DEPLOYMENT,
            "namespace": "medq",
            "kubeconfig": self.kubeconfig,
            "poll_seconds": 0.01,
            "retries": 0,
        }
        return vllm_model_server(self.objects, VllmSection.model_validate(section | changes))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    cluster = FakeCluster({}, tmp_path / "pods")
    with served(cluster, tmp_path) as kubeconfig, served_vllm() as vllm:
        yield House(tmp_path, kubeconfig, cluster, vllm)


def test_new_model_is_rolled_out_before_its_first_prompt_is_asked(house: House) -> None:
    server = house.server()
    for uri in (house.first, house.second, house.second, house.first):
        server.generate(uri, [PROMPT], Sampling(0), go_on)
    assert [body["model"] for body in house.vllm.asked] == [house.first, house.second, house.second, house.first]
    assert house.rollout.models == [house.second, house.first]
    spec = house.rollout.deployment["spec"]["template"]["spec"]
    for container in (spec["initContainers"][0], spec["containers"][0]):
        values = {variable["name"]: variable["value"] for variable in container["env"]}
        assert values == {"MEDQ_MODEL_URI": house.first, "OTHER": "kept"}
    assert "env" not in spec["containers"][1]


def test_restarted_service_goes_on_with_a_rollout_and_patches_once(house: House) -> None:
    with pytest.raises(DeadlineExceeded):
        house.server(rollout_seconds=0.0001).generate(house.second, [PROMPT], Sampling(0), go_on)
    house.server().generate(house.second, [PROMPT], Sampling(0), go_on)
    assert house.rollout.models == [house.second]


def test_evaluation_that_is_called_off_waits_for_no_rollout(house: House) -> None:
    def stop() -> None:
        raise Cancelled("called off")

    with pytest.raises(Cancelled):
        house.server().generate(house.second, [PROMPT], Sampling(0), stop)
    house.server().generate(house.second, [PROMPT], Sampling(0), go_on)
    assert house.rollout.models == [house.second]


def test_prompts_of_the_old_model_end_before_it_goes(house: House) -> None:
    server = house.server()
    server.generate(house.first, [PROMPT], Sampling(0), go_on)
    seen: list[str] = []
    gate, entered = threading.Event(), threading.Event()
    plain = house.vllm.answer

    def slow(path: str, body: dict[str, object]) -> tuple[int, object]:
        if path.endswith("completions") and body["model"] == house.first:
            entered.set()
            assert gate.wait(50)
            seen.append("answered")
        return plain(path, body)

    house.vllm.answer = slow  # type: ignore[method-assign]
    patched = house.cluster.on_patch
    house.cluster.on_patch = lambda kind, found: (seen.append("patched"), patched(kind, found))[1]
    with ThreadPoolExecutor(2) as pool:
        old = pool.submit(server.generate, house.first, [PROMPT], Sampling(0), go_on)
        assert entered.wait(50)
        new = pool.submit(server.generate, house.second, [PROMPT], Sampling(0), go_on)
        gate.set()
        old.result(50)
        new.result(50)
    assert seen == ["answered", "patched"]


def test_requests_of_others_are_waited_for(house: House) -> None:
    house.vllm.n_others = 2
    with pytest.raises(Unavailable, match="asked by others"):
        house.server(drain_seconds=0.05).generate(house.second, [PROMPT], Sampling(0), go_on)
    assert house.rollout.models == []
    assert house.vllm.n_metrics_reads > 1


def test_model_that_someone_else_swapped_is_served_again(house: House) -> None:
    server = house.server()
    server.generate(house.first, [PROMPT], Sampling(0), go_on)
    house.server().generate(house.second, [PROMPT], Sampling(0), go_on)
    server.generate(house.first, [PROMPT], Sampling(0), go_on)
    assert house.rollout.models == [house.second, house.first]


def test_rollout_that_kubernetes_gave_up_says_why(house: House) -> None:
    house.rollout.is_stuck = True
    with pytest.raises(FailedPrecondition, match="fetch: CrashLoopBackOff"):
        house.server().generate(house.second, [PROMPT], Sampling(0), go_on)


def test_deployment_that_takes_no_model_is_refused(house: House) -> None:
    house.rollout.deployment["spec"]["template"]["spec"] = {"containers": [{"name": "vllm"}]}
    with pytest.raises(FailedPrecondition, match="MEDQ_MODEL_URI"):
        house.server().generate(house.second, [PROMPT], Sampling(0), go_on)


def test_what_is_no_model_is_not_rolled_out(house: House) -> None:
    with pytest.raises(InvalidArgument):
        house.server().generate(
            put_dataset(house.objects, "benchmark", {"items.jsonl": []}), [PROMPT], Sampling(0), go_on
        )
    assert house.rollout.models == []


def test_without_a_deployment_the_model_must_be_served_already(house: House) -> None:
    server = house.server(deployment="")
    server.generate(house.first, [PROMPT], Sampling(0), go_on)
    with pytest.raises(FailedPrecondition, match="not served"):
        server.generate(house.second, [PROMPT], Sampling(0), go_on)


def test_init_container_fetches_a_model_once_and_the_current_one_follows(house: House, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    first = fetch_model(house.objects, house.first, folder)
    assert (folder / "current").resolve() == first
    second = fetch_model(house.objects, house.second, folder)
    assert fetch_model(house.objects, house.second, folder) == second == (folder / "current").resolve()
    assert sorted(path.name for path in folder.iterdir()) == sorted([first.name, second.name, "current"])
