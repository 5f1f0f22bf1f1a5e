from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.finished_run import OneTurn, one_turn
from tests.support.medq_processes import MedqProcesses
from tests.support.tiny_study import write_tiny_study


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Small models on few cores: a thread each; nothing is fetched."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


@pytest.fixture(scope="session")
def processes(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> MedqProcesses:
    return MedqProcesses(tmp_path_factory.mktemp("streams"))


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory, processes: MedqProcesses) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "study"
    assert processes.call(write_tiny_study, folder) == 0
    return folder


@pytest.fixture(scope="session")
def turn(tmp_path_factory: pytest.TempPathFactory, study: Path) -> OneTurn:
    """An undisturbed run by the command as a user starts it, looked at from a second process while it goes."""
    return one_turn(study / "run.yaml", tmp_path_factory.mktemp("undisturbed") / "out")
