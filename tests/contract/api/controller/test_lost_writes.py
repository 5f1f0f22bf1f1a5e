"""A controller whose databases are not of one moment: a disk lost what one of them wrote last, or a backup was restored."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from medq.controller.v1 import controller_pb2 as pb
from services.controller.adapters.dbos_workflows import DbosWorkflows
from shared.database import sqlite_url
from shared.rpc.operations import await_operation
from tests.support.controller_house import House, controller_stub, list_costs, report, unmeasured
from tests.support.run_files import write_run_files

ARM = "failure_driven"


def files(house: House, name: str) -> list[Path]:
    return [*(house.folder / "state" / "controller").glob(f"{name}.sqlite*")]


def keep(house: House, name: str) -> Path:
    """Copy a database that no process has open."""
    copy = house.folder / "older"
    copy.mkdir()
    for path in files(house, name):
        shutil.copy2(path, copy)
    return copy


def lose(house: House, name: str, copy: Path) -> None:
    """Take a database back to an earlier copy."""
    for path in files(house, name):
        path.unlink()
    for path in copy.iterdir():
        shutil.copy2(path, house.folder / "state" / "controller")


def ask(channel, house: House, run_id: str) -> None:
    """Start a run, or go on with it, by the same request each time."""
    if not house.files.exists():
        house.config = write_run_files(house.files, rounds=1)
    request = pb.StartRunRequest(run_id=run_id, config_yaml=house.config, base_folder=str(house.files))
    controller_stub(channel).StartRun(request)


def run_until(house: House, operation_id: str) -> None:
    """Go on until an operation has been asked for, which is held, and stop there."""
    step = operation_id.split("/")[-1]
    house.services.hold(step)
    with house.controller() as channel:
        ask(channel, house, "r1")
        house.services.await_request(operation_id)
    house.services.release(step)


def run_to_the_end(house: House, run_id: str = "r1"):
    """Its report, and the keys of its costs without its name, which must all be settled."""
    with house.controller() as channel:
        ask(channel, house, run_id)
        await_operation(channel, run_id)
        told, costs = report(channel, run_id), list_costs(controller_stub(channel), run_id)
    assert {entry.state for entry in costs} == {"settled"}
    return unmeasured(told), Counter(entry.cost.key.replace(run_id, "") for entry in costs)


@pytest.mark.parametrize("name", ["controller", "dbos"])
@pytest.mark.parametrize("later", ["train", ""])
def test_a_run_ends_right_although_one_database_lost_its_newest_rows(house, name, later):
    run_until(house, f"r1/{ARM}/0/mine_failures")
    copy = keep(house, name)
    if later:
        run_until(house, f"r1/{ARM}/0/{later}")
    else:
        run_to_the_end(house)
    lose(house, name, copy)
    found = run_to_the_end(house)
    assert not [asked for asked in house.services.requests if asked.endswith("/2")]
    assert found == run_to_the_end(house, "calm")


def test_a_run_goes_on_where_a_service_has_lost_the_operation_it_waits_for(house):
    run_until(house, f"r1/{ARM}/0/annotate")
    del house.services.requests[f"r1/{ARM}/0/annotate"]
    found = run_to_the_end(house)
    assert f"r1/{ARM}/0/annotate" in house.services.requests
    assert found == run_to_the_end(house, "calm")


def test_work_that_a_service_did_again_since_it_was_restored_counts_twice(house):
    run_until(house, f"r1/{ARM}/0/mine_failures")
    ledger = sqlite3.connect(house.folder / "state" / "controller" / "controller.sqlite")
    done = ledger.execute("UPDATE ledger SET compute_seconds = 99 WHERE key LIKE '%evaluate_dev'").rowcount
    ledger.execute("DELETE FROM results WHERE step = 'evaluate_dev'")
    ledger.commit()
    ledger.close()
    assert done == 1
    _, keys = run_to_the_end(house)
    assert [key for key, n in keys.items() if n > 1] == [f"compute//{ARM}/0/evaluate_dev"]


def test_what_the_loop_remembers_is_synced_at_each_commit(tmp_path: Path):
    modes = []

    def note(connection, record, proxy) -> None:
        modes.append(connection.execute("PRAGMA synchronous").fetchone()[0])

    sa.event.listen(sa.pool.Pool, "checkout", note)
    try:
        workflows = DbosWorkflows(sqlite_url(tmp_path / "dbos.sqlite"), lambda run_id, step: step("one", dict))
        workflows.ensure_started("r")
        workflows.close()
    finally:
        sa.event.remove(sa.pool.Pool, "checkout", note)
    assert len(modes) > 3
    assert set(modes) == {2}
