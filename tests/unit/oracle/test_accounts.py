"""What the ledger of the controller says of calls that fail, in whichever way."""

from __future__ import annotations

from collections import Counter
from concurrent import futures
from functools import partial
from threading import Barrier

import grpc
import pytest

from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub, add_ControllerServiceServicer_to_server
from services.controller.loop.calls import Collaborators
from services.controller.service import Controller
from services.controller.store.egress import METADATA as EGRESS
from services.controller.store.egress import EgressLog
from services.controller.store.ledger import METADATA as LEDGER
from services.controller.store.ledger import Ledger
from services.controller.store.runs import METADATA as RUNS
from services.controller.store.runs import RunStore
from services.oracle.ports import Outcome
from services.oracle.store.annotations import METADATA, OracleStore
from shared.errors import Cancelled, DeadlineExceeded, InvalidArgument, PermissionDenied, Unavailable
from shared.outside.accounts import CallBook
from shared.outside.call import ready
from shared.outside.calls import OutsideCalls
from shared.paths import ANYWHERE
from shared.rpc.interceptors import ErrorInterceptor
from shared.spending import Spending
from tests.support.databases import sqlite_database
from tests.support.servers import short_folder

N = 8
BOOK = CallBook("work", "run", "oracle", max_in_flight=4, is_simulated=False)


class Callee:
    """Answers; `failing` are errors by number of the call, which are raised once each."""

    def __init__(self, failing=(), is_down=False):
        self.failing = dict(failing)
        self.is_down = is_down
        self.answered = Counter()

    def answer(self, number):
        if self.is_down:
            raise Unavailable("The oracle is down.")
        if number in self.failing:
            raise self.failing.pop(number)
        self.answered[number] += 1
        return Outcome("A", "", Spending(usd=0.5))

    def calls(self, n=N):
        return [ready(f"k{i}", Spending(usd=1.0), partial(self.answer, i)) for i in range(n)]


@pytest.fixture
def ledger(tmp_path):
    with sqlite_database(tmp_path) as database:
        yield Ledger(database.engine(LEDGER, RUNS, EGRESS))


@pytest.fixture
def stub(ledger):
    """The controller's own servicer over a wire."""
    server = grpc.server(futures.ThreadPoolExecutor(4), interceptors=[ErrorInterceptor("controller")])
    parts = Collaborators(None, None, RunStore(ledger._engine), ledger, None, None)
    add_ControllerServiceServicer_to_server(Controller(None, parts, {}, ANYWHERE, EgressLog(ledger._engine)), server)
    with short_folder() as folder:
        server.add_insecure_port(f"unix:{folder}/c.sock")
        server.start()
        with grpc.insecure_channel(f"unix:{folder}/c.sock") as channel:
            yield ControllerServiceStub(channel)
        server.stop(0).wait()


@pytest.fixture
def run(stub, database):
    store = OracleStore(database.engine(METADATA))
    return lambda callee, progress=lambda done: None, book=BOOK: OutsideCalls(store, stub).run(
        book, callee.calls(), progress
    )


def states(ledger):
    return Counter(entry.state for entry in ledger.all_entries("run"))


def settled(ledger):
    return [entry.cost.key for entry in ledger.all_entries("run") if entry.state == "settled"]


def test_of_a_chunk_with_a_failed_call_the_answers_are_kept_and_paid_once(run, ledger):
    callee = Callee({2: Unavailable("once")})
    with pytest.raises(Unavailable, match="once"):
        run(callee)
    assert states(ledger) == {"settled": 3, "released": 1}
    assert len(run(callee).outcomes) == N
    assert set(callee.answered.values()) == {1}
    assert states(ledger) == {"settled": N, "released": 1}
    assert ledger.committed("run") == (N * 0.5, 0.0)


def test_an_outage_of_many_attempts_eats_no_budget(run, ledger):
    callee = Callee({1: Unavailable("flaky"), 6: PermissionDenied("No right today.")})
    with pytest.raises(Unavailable):
        run(callee)
    callee.is_down = True
    for _ in range(20):
        with pytest.raises(Unavailable, match="down"):
            run(callee)
    assert ledger.committed("run") == (3 * 0.5, 0.0)
    callee.is_down = False
    with pytest.raises(PermissionDenied):
        run(callee)
    assert len(run(callee).outcomes) == N
    assert sorted(settled(ledger)) == [f"k{i}" for i in range(N)]
    assert set(states(ledger)) == {"settled", "released"}
    assert ledger.committed("run") == (N * 0.5, 0.0)


@pytest.mark.parametrize("error", [DeadlineExceeded("No answer."), OSError("reset by peer"), RuntimeError("?")])
def test_a_call_whose_end_nobody_knows_stands_as_unknown_and_counts(run, ledger, error):
    callee = Callee({5: error})
    with pytest.raises(type(error)):
        run(callee)
    assert states(ledger) == {"settled": 7, "unknown": 1}
    assert ledger.committed("run") == (7 * 0.5 + 1.0, 0.0)
    assert len(run(callee).outcomes) == N
    assert states(ledger) == {"settled": N, "unknown": 1}


def test_a_question_that_is_refused_stays_without_an_answer_and_costs_nothing(run, ledger):
    results = run(Callee({3: InvalidArgument("Not an image.")}))
    assert results.outcomes.keys() == {f"k{i}" for i in range(N) if i != 3}
    assert (results.stopped, results.why_not("k3")) == ("", "refused: Not an image.")
    assert states(ledger) == {"settled": 7, "released": 1}


def test_what_is_called_off_keeps_what_was_begun_and_releases_the_rest(run, ledger):
    """A thousand may be reserved at a time, but only some dozens are made at a time."""
    begun = Barrier(33)  # the 32 threads and this test's look

    class Slow(Callee):
        def answer(self, number):
            if number < 32:
                begun.wait(30)
            return super().answer(number)

        def calls(self):
            return super().calls(100)

    def look(done):
        if ledger.all_entries("run"):
            begun.wait(30)
            raise Cancelled("The operation was called off.")

    callee = Slow()
    with pytest.raises(Cancelled):
        run(callee, look, CallBook("work", "run", "oracle", 1000, False))
    n_made = len(callee.answered)
    assert n_made >= 32
    assert states(ledger) == {"settled": n_made, "released": 100 - n_made}


def test_what_the_ledger_has_lost_is_entered_again_from_what_the_oracle_keeps(run, ledger):
    run(Callee())
    with ledger._engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM ledger WHERE sequence > 3")
    callee = Callee()
    assert len(run(callee).outcomes) == N
    assert not callee.answered
    assert states(ledger) == {"settled": N}


def test_what_the_oracle_has_lost_is_asked_again_and_both_were_paid(stub, ledger, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with sqlite_database(tmp_path / name) as database:
            store = OracleStore(database.engine(METADATA))
            results = OutsideCalls(store, stub).run(BOOK, Callee().calls(), lambda done: None)
        assert len(results.outcomes) == N
    assert states(ledger) == {"settled": 2 * N}
    assert ledger.committed("run") == (2 * N * 0.5, 0.0)
