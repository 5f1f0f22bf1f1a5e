"""How many operations the services of one process work on at the same time."""

from __future__ import annotations

import os

import pytest

from services.embedded import fitted
from services.evaluation.settings import EvaluationSettings
from services.training.settings import TrainingSettings

SETTINGS = {"evaluation": EvaluationSettings, "training": TrainingSettings}
N_CORES = len(os.sched_getaffinity(0))


def workers(name: str, **given: object) -> object:
    return fitted(SETTINGS[name](**given)).operation_workers


@pytest.mark.parametrize("name", SETTINGS)
def test_without_a_gpu_each_operation_has_the_cores_of_its_threads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert workers(name) == min(N_CORES, 64)
    assert workers(name, n_torch_threads=N_CORES) == workers(name, n_torch_threads=N_CORES + 1) == 1


def test_each_training_has_a_gpu_and_evaluation_one_model_on_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    assert (workers("training"), workers("evaluation")) == (3, 1)
    assert workers("training", device="cpu") == workers("evaluation", device="cpu") == min(N_CORES, 64)


@pytest.mark.parametrize("name", SETTINGS)
def test_what_the_environment_says_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    monkeypatch.setenv(f"MEDQ_{name.upper()}_OPERATION_WORKERS", "5")
    assert workers(name) == 5
