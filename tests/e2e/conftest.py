from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from tests.support.finished_run import OneTurn, one_turn
from tests.support.medq_processes import Ended, pool_of_processes, run_medq
from tests.support.tiny_study import write_tiny_study


@pytest.fixture(scope="session")
def pool() -> Iterator[ProcessPoolExecutor]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("HF_HUB_OFFLINE", "1")
        with pool_of_processes(6) as workers:
            yield workers


@pytest.fixture(scope="session")
def medq(pool: ProcessPoolExecutor) -> Callable[..., Ended]:
    """Runs `medq` with arguments in a process of its own."""
    return lambda *arguments: pool.submit(run_medq, *arguments).result()


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory, pool: ProcessPoolExecutor) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "study"
    pool.submit(write_tiny_study, folder).result()
    return folder


@pytest.fixture(scope="session")
def turn(tmp_path_factory: pytest.TempPathFactory, study: Path, medq: Callable[..., Ended]) -> OneTurn:
    """An undisturbed run by the command as a user starts it, looked at from a second process while it goes."""
    return one_turn(study / "run.yaml", tmp_path_factory.mktemp("undisturbed") / "out", medq)
