"""The loop's workflows on DBOS, which keeps the outcome of every step: in a SQLite file, or in a schema of PostgreSQL.

One process at a time may own them: one controller a state folder (`shared.rpc.ownership`), one a database (`sole_controller`).
DBOS knows one instance a process.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Engine

from services.controller.ports import Durable, StepOutcome, Suspended
from shared.database import create_engine
from shared.errors import Internal

#: Raised only after all runs have been drained: with another version, what was running would never be taken up.
APPLICATION_VERSION = "1"
_NAME = "medq-controller"
# There is one controller, whatever it is called: the next one takes up what the one before left.
_EXECUTOR = "controller"
_SCHEMA = "dbos"
_MAX_RECOVERIES = 1000
_LEAVE_SECONDS = 10.0
_AT_WORK = ("PENDING", "ENQUEUED", "DELAYED")

Workflow = Callable[[str, Durable], StepOutcome]


class DbosWorkflows:
    """The `Workflows` on DBOS: runs one function as durable workflows.

    Args:
        url: Database of the steps: `sqlite:////path`, whose tables are made here, or `postgresql://...` (see `migrate_steps`).
        workflow: The function, `(run id, steps) -> outcome`. It is deterministic but for what its steps give.
    """

    def __init__(self, url: str, workflow: Workflow) -> None:
        self._url = url
        self._engine = create_engine(url)
        self._workflow = workflow
        self._lock = threading.Lock()
        self._left = threading.Condition()
        self._n_running = 0
        self._suspended: set[str] = set()
        self._start: Callable[[str], object] | None = None

    def ensure_started(self, run_id: str) -> None:
        """See `Workflows`."""
        from dbos import DBOS, SetWorkflowID

        start = self._launched()
        if DBOS.get_workflow_status(run_id) is None:
            with SetWorkflowID(run_id):
                DBOS.start_workflow(start, run_id)
        elif run_id in self._suspended:  # what another process left was taken up at the launch
            self._suspended.discard(run_id)
            DBOS.resume_workflow(run_id)

    def is_suspended(self, run_id: str) -> bool:
        """See `Workflows`."""
        return run_id in self._suspended

    def rewind(self, run_id: str) -> None:
        """See `Workflows`."""
        from dbos import DBOS

        self._launched()
        status = DBOS.get_workflow_status(run_id)
        if status is not None and status.status not in _AT_WORK:
            DBOS.rewind_workflow(run_id, start_step=_step_to_repeat(DBOS.list_workflow_steps(run_id)))

    def outcome(self, run_id: str) -> StepOutcome | None:
        """See `Workflows`."""
        from dbos import DBOS

        status = DBOS.get_workflow_status(run_id)
        if status is None or status.status in _AT_WORK:
            return None
        if status.status != "SUCCESS":
            raise Internal("The loop ended by an internal error; the controller's log has the details.")
        return cast(StepOutcome, status.output)

    def close(self) -> None:
        """Wait until the workflows have left their steps (see `Stopping`), then let the database go."""
        with self._lock:
            if self._start is None:
                self._engine.dispose()
                return
            from dbos import DBOS

            with self._left:
                self._left.wait_for(lambda: self._n_running == 0, _LEAVE_SECONDS)
            DBOS.destroy(destroy_registry=True)
            self._engine.dispose()
            self._start = None

    def _launched(self) -> Callable[[str], Any]:
        with self._lock:
            if self._start is None:
                from dbos import DBOS, DBOSPortableJSONSerializer

                _log_as_others()
                is_file = self._url.startswith("sqlite")
                if is_file:
                    _use_write_ahead_log(self._engine)
                DBOS(
                    config={
                        "name": _NAME,
                        "system_database_url": self._url,
                        "application_version": APPLICATION_VERSION,
                        "executor_id": _EXECUTOR,
                        "log_level": "WARNING",
                        "serializer": DBOSPortableJSONSerializer(),
                        "sys_db_pool_size": 4,
                        "dbos_system_schema": _SCHEMA,
                        "system_database_engine": None if is_file else self._engine,
                        "run_migrations": is_file,
                        "db_engine_kwargs": {"hide_parameters": True},
                    }
                )

                # DBOS marks the function, which a bound method does not allow.
                def workflow(run_id: str) -> StepOutcome:
                    return self._run(run_id)

                decorate = DBOS.workflow(name="closed_loop", max_recovery_attempts=_MAX_RECOVERIES)
                self._start = decorate(workflow)
                DBOS.launch()
            return self._start

    def _run(self, run_id: str) -> StepOutcome:
        from dbos import DBOS

        def step(name: str, function: Callable[[], StepOutcome]) -> StepOutcome:
            return DBOS.run_step({"name": name}, function)

        with self._left:
            self._n_running += 1
        try:
            return self._workflow(run_id, step)
        except Suspended:
            self._suspended.add(run_id)
            raise
        finally:
            with self._left:
                self._n_running -= 1
                self._left.notify_all()


def migrate_steps(url: str) -> None:
    """Make or change DBOS's tables on PostgreSQL; what is there already is left as it is."""
    from dbos import DBOS

    _log_as_others()
    DBOS.migrate(url, schema=_SCHEMA)


def _log_as_others() -> None:
    """Have DBOS's lines pass our formatter: where its logger has a handler, it makes none of its own."""
    logger = logging.getLogger("dbos")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _use_write_ahead_log(engine: Engine) -> None:
    """Open the file once as all of ours are: it keeps its write-ahead log, which halves a step's time."""
    engine.connect().close()


def _step_to_repeat(steps: Sequence[Mapping[str, Any]]) -> int:
    """The number of the step from which a failed run goes on.

    The report is the last step of every run. Right before it stands what failed: a step of the controller's own, or a turn, the
    steps that started operations beside each other and those that waited for them. A turn begins again as a whole, which
    repeats what failed alone: an operation that has succeeded is found by its id.
    """
    numbers = {step["function_id"]: step for step in steps}
    last = max(numbers, default=1)
    first = last - 1
    for verb in ("/wait ", "/start "):
        while first in numbers and verb in numbers[first]["function_name"]:
            first -= 1
    turn = range(min(first + 1, last - 1), last)
    has_failed = any((numbers[number]["output"] or {}).get("failure") for number in turn if number in numbers)
    return turn[0] if has_failed else last
