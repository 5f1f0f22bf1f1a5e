"""Tables of runs: what was asked, where each stands, and what every step of its loop gave."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from shared.database import SERIAL, insert_ignoring, now, reader
from shared.errors import NotFound
from shared.events.bus import Event
from shared.events.outbox import Outbox

#: The arm of what all arms share.
SHARED_ARM = "-"
METADATA = sa.MetaData()
_RUNS = sa.Table(
    "runs",
    METADATA,
    sa.Column("sequence", SERIAL, primary_key=True, autoincrement=True),
    sa.Column("run_id", sa.Text, nullable=False, unique=True),
    sa.Column("configuration", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False, default=now()),
    sa.Column("arm", sa.Text, nullable=False, default=""),
    sa.Column("round", sa.Integer, nullable=False, default=0),
    sa.Column("step", sa.Text, nullable=False, default=""),
    sa.Column("operation_id", sa.Text, nullable=False, default=""),
    sa.Column("service", sa.Text, nullable=False, default=""),
    sa.Column("message", sa.Text, nullable=False, default=""),
    sa.Column("failure", sa.Text, nullable=False, default=""),
    sa.Column("report_uri", sa.Text, nullable=False, default=""),
    sa.Column("is_retry_asked", sa.Boolean, nullable=False, default=False),
)
_RESULTS = sa.Table(
    "results",
    METADATA,
    sa.Column("sequence", SERIAL, primary_key=True, autoincrement=True),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("arm", sa.Text, nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("service", sa.Text, nullable=False),
    sa.Column("operation_id", sa.Text, nullable=False),
    sa.Column("uri", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("worked_seconds", sa.Float, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("began_at", sa.Float, nullable=True),
    sa.Column("ended_at", sa.Float, nullable=True),
    sa.UniqueConstraint("run_id", "arm", "round", "step"),
)
# Beside the runs: one that waits to begin is no row there yet.
_PAUSES = sa.Table("pauses", METADATA, sa.Column("run_id", sa.Text, primary_key=True))

#: What the service publishes waits here.
OUTBOX = Outbox(METADATA)


@dataclass(frozen=True)
class RunRow:
    """A run and where it stands.

    Attributes:
        configuration: The effective one as a JSON object, with absolute paths.
        arm, round, step: The step at work.
        operation_id, service: What it waits on; "" between two operations.
        message: One line on why it ended; "" before.
        failure: The message of the step that failed; "" where none did.
        report_uri: "" before it has ended.
        is_retry_asked: The step that ended it is to begin again.
    """

    run_id: str
    configuration: dict[str, Any]
    created_at: float
    arm: str
    round: int
    step: str
    operation_id: str
    service: str
    message: str
    failure: str
    report_uri: str
    is_retry_asked: bool


@dataclass(frozen=True)
class Result:
    """What a step gave.

    Attributes:
        arm: The arm; "-" for what all arms share.
        round: The round, from 0.
        step: Name of the step.
        service, operation_id: Who did it; "" where the controller did.
        uri: The dataset it made; "" where it made none.
        detail: What the loop needs to know of it: counts, a score, a decision.
        worked_seconds, attempts: As its operation counted them.
        began_at, ended_at: Of that operation, seconds since 1970 by its service; None of the controller's own, and of before.
    """

    arm: str
    round: int
    step: str
    service: str = ""
    operation_id: str = ""
    uri: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    worked_seconds: float = 0.0
    attempts: int = 0
    began_at: float | None = None
    ended_at: float | None = None


class RunStore:
    """The rows of runs.

    Args:
        engine: The controller's database.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def create(self, run_id: str, configuration: dict[str, Any]) -> None:
        """Note a run; one that is there stays as it is."""
        values = {"run_id": run_id, "configuration": json.dumps(configuration, sort_keys=True)}
        with self._engine.begin() as connection:
            insert_ignoring(connection, _RUNS, values)

    def find(self, run_id: str) -> RunRow | None:
        """A run, or None."""
        with reader(self._engine).connect() as connection:
            row = connection.execute(sa.select(_RUNS).where(_RUNS.c.run_id == run_id)).one_or_none()
        return None if row is None else _to_run(row)

    def find_all(self, run_ids: Collection[str]) -> dict[str, RunRow]:
        """Those of some runs that are there, by id."""
        with reader(self._engine).connect() as connection:
            rows = connection.execute(sa.select(_RUNS).where(_RUNS.c.run_id.in_(run_ids))).all()
        return {row.run_id: _to_run(row) for row in rows}

    def get(self, run_id: str) -> RunRow:
        """A run.

        Raises:
            NotFound: There is no such run.
        """
        found = self.find(run_id)
        if found is None:
            raise NotFound("No such run here.", field="run_id", value=run_id, remedy="ListRuns shows what there is.")
        return found

    def move(self, run_id: str, arm: str, round_number: int, step: str, operation_id: str, service: str) -> None:
        """Note where a run stands; an empty operation id stands for between two operations."""
        self._update(run_id, arm=arm, round=round_number, step=step, operation_id=operation_id, service=service)

    def end(self, run_id: str, message: str, failure: str, report_uri: str) -> None:
        """Note how a run ended."""
        self._update(run_id, message=message, failure=failure, report_uri=report_uri, operation_id="", service="")

    def ask_retry(self, run_id: str) -> None:
        """Note that a run which has ended shall go on; how it had ended is forgotten."""
        self._update(run_id, is_retry_asked=True, message="", failure="", report_uri="")

    def retried(self, run_id: str) -> None:
        """Note that its workflow goes on."""
        self._update(run_id, is_retry_asked=False)

    def pause(self, run_id: str) -> None:
        """Note that a run shall begin no further step."""
        with self._engine.begin() as connection:
            insert_ignoring(connection, _PAUSES, {"run_id": run_id})

    def resume(self, run_id: str) -> None:
        """Note that a run may begin steps."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(_PAUSES).where(_PAUSES.c.run_id == run_id))

    def paused(self, run_ids: Collection[str]) -> set[str]:
        """Those of some runs that shall begin no further step."""
        with reader(self._engine).connect() as connection:
            return {*connection.execute(sa.select(_PAUSES.c.run_id).where(_PAUSES.c.run_id.in_(run_ids))).scalars()}

    def is_pause_asked(self, run_id: str) -> bool:
        """Whether a run shall begin no further step."""
        return bool(self.paused([run_id]))

    def record(self, run_id: str, result: Result, event: Event | None = None) -> None:
        """Keep what a step gave, and publish an event with it; the same step again replaces it."""
        values = {name: getattr(result, name) for name in Result.__dataclass_fields__} | {
            "run_id": run_id,
            "detail": json.dumps(result.detail, sort_keys=True),
        }
        same = sa.and_(*(_RESULTS.c[name] == values[name] for name in ("run_id", "arm", "round", "step")))
        with self._engine.begin() as connection:
            if not insert_ignoring(connection, _RESULTS, values):
                connection.execute(sa.update(_RESULTS).where(same).values(values))
            if event is not None:
                OUTBOX.add(connection, event)

    def has_result(self, run_id: str, arm: str, round_number: int, step: str) -> bool:
        """Whether a step's result is here."""
        place = (_RESULTS.c.run_id == run_id) & (_RESULTS.c.arm == arm) & (_RESULTS.c.round == round_number)
        query = sa.select(_RESULTS.c.sequence).where(place & (_RESULTS.c.step == step))
        with reader(self._engine).connect() as connection:
            return connection.execute(query).first() is not None

    def n_results(self, run_id: str) -> int:
        """How many steps of a run have given something."""
        query = sa.select(sa.func.count()).select_from(_RESULTS).where(_RESULTS.c.run_id == run_id)
        with reader(self._engine).connect() as connection:
            return connection.execute(query).scalar_one()

    def results(self, run_id: str) -> list[Result]:
        """What the steps of a run gave, in the order in which they were first recorded."""
        query = sa.select(_RESULTS).where(_RESULTS.c.run_id == run_id).order_by(_RESULTS.c.sequence)
        with reader(self._engine).connect() as connection:
            return [_to_result(row) for row in connection.execute(query)]

    def results_of(self, run_ids: Collection[str], steps: Collection[str]) -> dict[str, list[Result]]:
        """What certain steps of some runs gave, by run, in the order in which they were first recorded."""
        mine = _RESULTS.c.run_id.in_(run_ids) & _RESULTS.c.step.in_(steps)
        return self._by_run(run_ids, sa.select(_RESULTS).where(mine).order_by(_RESULTS.c.sequence))

    def times_of(self, run_ids: Collection[str]) -> dict[str, list[Result]]:
        """The steps of the arm and round at work of some runs whose times are known, by run, in the order of their begin."""
        at_work = sa.and_(*(_RUNS.c[name] == _RESULTS.c[name] for name in ("run_id", "arm", "round")))
        timed = _RESULTS.c.run_id.in_(run_ids) & _RESULTS.c.began_at.is_not(None)
        query = sa.select(_RESULTS).join(_RUNS, at_work).where(timed).order_by(_RESULTS.c.began_at, _RESULTS.c.sequence)
        return self._by_run(run_ids, query)

    def _by_run(self, run_ids: Collection[str], query: sa.Select[Any]) -> dict[str, list[Result]]:
        found: dict[str, list[Result]] = {run_id: [] for run_id in run_ids}
        with reader(self._engine).connect() as connection:
            for row in connection.execute(query):
                found[row.run_id].append(_to_result(row))
        return found

    def _update(self, run_id: str, **values: str | int) -> None:
        with self._engine.begin() as connection:
            connection.execute(sa.update(_RUNS).where(_RUNS.c.run_id == run_id).values(**values))


def _to_run(row: Any) -> RunRow:
    fields = {name: getattr(row, name) for name in RunRow.__dataclass_fields__}
    return RunRow(**fields | {"configuration": json.loads(row.configuration)})


def _to_result(row: Any) -> Result:
    fields = {name: getattr(row, name) for name in Result.__dataclass_fields__}
    return Result(**fields | {"detail": json.loads(row.detail)})


def model_of(results: Sequence[Result], arm: str, round_number: int) -> str:
    """The URI of the model of a round: the imported one, or what the round before trained; "" where there is none yet."""
    place = (arm, round_number - 1, "train") if round_number else (SHARED_ARM, 0, "import_model")
    return next((result.uri for result in results if (result.arm, result.round, result.step) == place), "")
