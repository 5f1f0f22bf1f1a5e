"""A disk that loses what was written last, in one place: the same command goes on, and ends with the same report or says why not.

Nothing of this happens where a disk keeps what it was told to sync; it happens where a single file is restored from a backup.
"""

from __future__ import annotations

import functools
import shutil
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import pytest

from tests.support.finished_run import ARM, OneTurn, lasting, remembered
from tests.support.kill_points import kill_at_boundary
from tests.support.killing import KILLED
from tests.support.medq_processes import Ended, run_medq

pytestmark = pytest.mark.timeout(900)
Loss = Callable[[Path, Path], None]


def _restore(newer: Path, older: Path, service: str, database: str) -> None:
    """Take one database back."""
    folder = Path("state") / service
    for path in (newer / folder).glob(f"{database}.sqlite*"):
        path.unlink()
    for path in (older / folder).glob(f"{database}.sqlite*"):
        shutil.copy2(path, newer / folder)


def _forget(newer: Path, older: Path) -> None:
    for path in (newer / "state" / "controller").glob("dbos.sqlite*"):
        path.unlink()


def _empty_objects(newer: Path, older: Path) -> None:
    """Leave the names of the newest objects and nothing in them."""
    place = Path("state") / "objects" / "objects"
    known = {path.name for path in (older / place).glob("*/*")}
    new = [path for path in (newer / place).glob("*/*") if path.name not in known]
    assert new
    for path in new:
        path.chmod(0o644)
        path.write_bytes(b"")


LOSSES: dict[str, Loss] = {
    "answers": functools.partial(_restore, service="oracle", database="oracle"),
    "ledger": functools.partial(_restore, service="controller", database="controller"),
    "some steps": functools.partial(_restore, service="controller", database="dbos"),
    "all steps": _forget,
    "objects": _empty_objects,
}


def _lose_and_go_on(config: Path, folder: Path, loss: Loss) -> Ended:
    """Killed when an annotation begins, killed when it has ended; what lies between is lost in one place."""
    command = ["run", "--config", config, "--out", folder / "out"]
    for boundary in ("start annotate after", "wait annotate before"):
        ended = run_medq(*command, prepare=functools.partial(kill_at_boundary, f"{ARM}/0/{boundary}"))
        assert ended.code == KILLED, ended.err
        if not (folder / "older").exists():
            shutil.copytree(folder / "out", folder / "older", symlinks=True)
    loss(folder / "out", folder / "older")
    return run_medq(*command)


@pytest.fixture(scope="module")
def ends(
    tmp_path_factory: pytest.TempPathFactory, study: Path, pool: ProcessPoolExecutor
) -> dict[str, tuple[Path, Future[Ended]]]:
    """All at once."""
    folders = {name: tmp_path_factory.mktemp("lost") for name in LOSSES}
    return {
        name: (folder / "out", pool.submit(_lose_and_go_on, study / "run.yaml", folder, LOSSES[name]))
        for name, folder in folders.items()
    }


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "objects"])
def test_a_run_ends_as_if_nothing_was_lost(ends, turn: OneTurn, pool: ProcessPoolExecutor, name: str):
    out, ended = ends[name]
    assert ended.result().code == 0, ended.result().err
    assert lasting(out) == lasting(turn.out)
    calm, after = remembered(turn.out, pool), remembered(out, pool)
    assert after.decisions == calm.decisions
    settled = Counter(entry.cost.key for entry in after.costs if entry.state == "settled")
    bought = {entry.cost.key for entry in calm.costs}
    assert {entry.state for entry in after.costs} <= {"settled", "unknown"}
    if name == "answers":  # they were bought twice, and the ledger says so
        assert settled.keys() == bought
        assert sum(settled.values()) > len(calm.costs)
    elif name == "ledger":  # the calls of an annotation that had ended are in its summary alone
        assert {key for key in bought if key.startswith("compute/")} < settled.keys() < bought
        assert set(settled.values()) == {1}
    else:
        assert settled.keys() == bought
        assert set(settled.values()) == {1}


def test_a_run_whose_objects_were_lost_says_what_to_restore(ends):
    _, ended = ends["objects"]
    assert ended.result().code != 0
    assert "does not match its digest" in ended.result().err
    assert "sha256:" in ended.result().err
