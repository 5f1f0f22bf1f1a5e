"""One way to open a database: SQLite in the embedded form, PostgreSQL on a cluster.

A SQLite file is opened for several threads and processes at once: write-ahead log, synced at each commit, a busy timeout of
30 s, and every transaction takes the write lock when it begins, so that none fails half way because another wrote
in between. A transaction that only reads uses `reader(engine)` and waits for nobody.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy

# Whole before any thread runs: DBOS imports it late, and a statement made meanwhile elsewhere would meet half of it.
import sqlalchemy.orm
from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_random, wait_random_exponential

from shared.errors import InvalidArgument
from shared.synced import make_folder

BUSY_TIMEOUT_SECONDS = 30.0
#: What SQLAlchemy raises while a database is away, restarts, or is too busy: trying again may help.
OUTAGES = (OperationalError, InterfaceError, PoolTimeout)
#: Numbers that the database counts up.
SERIAL = sqlalchemy.BigInteger().with_variant(sqlalchemy.Integer, "sqlite")
_POOL_SIZE = 16
# PostgreSQL has 100 connections by default, and a dozen processes share them; a transaction takes milliseconds.
_POSTGRESQL_POOL_SIZE, _POSTGRESQL_OVERFLOW = 2, 4
_BEGIN = "medq_begin"
# A broken connection is noticed after a minute, not after the two hours of the kernel's default: by this side ...
_POSTGRESQL_KEEPALIVE = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
# ... and by the server, which else keeps the locks of a process whose node has gone. Times in milliseconds.
_POSTGRESQL_SETTINGS = {
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "lock_timeout": "30000",
    "statement_timeout": "60000",
}


def sqlite_url(path: Path | str) -> str:
    """The URL of a SQLite file; the path is made absolute, so the working directory does not matter."""
    return URL.create("sqlite", database=str(Path(path).absolute())).render_as_string()


def create_engine(url: str, schema: str = "") -> Engine:
    """Open a database; its folder is made where it is a file. Nothing is connected yet.

    Args:
        url: `sqlite:////absolute/path` (see `sqlite_url`) or `postgresql://user:password@host/database`.
        schema: The PostgreSQL schema in which unqualified tables lie; "" is the server's default. SQLite has none.

    Returns: A pooled engine, safe to share between threads.

    Raises:
        InvalidArgument: Not a URL, another kind of database, or one in memory (each connection has its own).
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InvalidArgument(
            "Not a database URL.", field="url", remedy="Use sqlite:////path or postgresql://host/name."
        ) from None
    kind = parsed.get_backend_name()
    if kind == "postgresql":
        return _create_postgresql(parsed, schema)
    if kind != "sqlite":
        raise InvalidArgument("No such kind of database.", field="url", value=kind, remedy="Use sqlite or postgresql.")
    if parsed.database in (None, "", ":memory:"):
        raise InvalidArgument("A database in memory is not shared.", field="url", remedy="Name a file.")
    make_folder(Path(str(parsed.database)).parent)
    engine = sqlalchemy.create_engine(
        parsed,
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_SIZE,
        hide_parameters=True,  # an error names the statement, never the values
        connect_args={"timeout": BUSY_TIMEOUT_SECONDS},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _create_postgresql(url: URL, schema: str) -> Engine:
    settings = {**_POSTGRESQL_SETTINGS, **({"search_path": schema} if schema else {})}
    return sqlalchemy.create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=_POSTGRESQL_POOL_SIZE,
        max_overflow=_POSTGRESQL_OVERFLOW,
        hide_parameters=True,
        connect_args={
            **_POSTGRESQL_KEEPALIVE,
            "options": " ".join(f"-c{name}={value}" for name, value in settings.items()),
        },
    )


#: Decorates a function that writes under a key: it outlasts an outage of a minute.
insist = retry(
    retry=retry_if_exception_type(OUTAGES),
    wait=wait_random_exponential(multiplier=0.1, max=2),
    stop=stop_after_delay(60),
    reraise=True,
)


def reader(engine: Engine) -> Engine:
    """The same database for transactions that only read; on SQLite they have nothing to do with the write lock."""
    return engine.execution_options(**{_BEGIN: "DEFERRED"})


# The change to the write-ahead log does not honour the busy timeout
# when two processes make a new file at the same moment.
@retry(
    retry=retry_if_exception_type(sqlite3.OperationalError),
    stop=stop_after_delay(BUSY_TIMEOUT_SECONDS),
    wait=wait_random(0.005, 0.05),
    reraise=True,
)
def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL").close()


def _prepare_sqlite(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions begin in `_begin_sqlite`, not by the driver's own guess
    _use_write_ahead_log(connection)
    connection.execute("PRAGMA synchronous=FULL").close()  # a commit survives a power cut
    connection.execute("PRAGMA foreign_keys=ON").close()


def _begin_sqlite(connection: Connection) -> None:
    mode = str(connection.get_execution_options().get(_BEGIN, "IMMEDIATE"))
    connection.exec_driver_sql(f"BEGIN {mode}")


class now(FunctionElement[float]):  # noqa: N801 - it stands in statements as a function does
    """Seconds since the epoch by the clock of the database, so that the clocks of the processes that share it do not matter.

    On SQLite, whose processes share a machine, to a millisecond.
    """

    type = sqlalchemy.Float()
    inherit_cache = True


@compiles(now, "postgresql")
def _now_of_postgresql(element: now, compiler: SQLCompiler, **options: object) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)"


@compiles(now, "sqlite")
def _now_of_sqlite(element: now, compiler: SQLCompiler, **options: object) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


def insert_ignoring(connection: Connection, table: sqlalchemy.Table, values: Mapping[str, object]) -> bool:
    """Insert a row unless one with its key is there, which stays as it is; whether it was inserted."""
    return bool(insert_new(connection, table, [values]))


def insert_new(
    connection: Connection, table: sqlalchemy.Table, rows: Sequence[Mapping[str, object]]
) -> set[tuple[object, ...]]:
    """Insert rows, in their order, in as few statements as can be; where a key is there, its row stays as it is.

    Returns: The primary keys of those that were inserted.
    """
    if not rows:
        return set()
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).on_conflict_do_nothing().returning(*table.primary_key.columns)
    return {tuple(row) for row in connection.execute(statement, [dict(row) for row in rows])}


def serialize(connection: Connection, name: str) -> None:
    """Let one transaction of this name after the other run, from here to their ends.

    On SQLite transactions that write do so anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_xact_lock(lock_key(name))))


@contextmanager
def alone(engine: Engine, name: str) -> Iterator[bool]:
    """Whether this process is the only one in a block of this name; another one gets False at once.

    The lock, which a connection of PostgreSQL holds or a file beside that of SQLite, goes with the process, however that ends.
    """
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            key = lock_key(name)
            yield bool(
                connection.execute(sqlalchemy.select(sqlalchemy.func.pg_try_advisory_xact_lock(key))).scalar_one()
            )
        return
    lock = FileLock(f"{engine.url.database}.{name}.lock", is_singleton=False)
    with suppress(Timeout):
        lock.acquire(timeout=0)
    try:
        yield lock.is_locked
    finally:
        lock.release()


def lock_key(name: str) -> sqlalchemy.ColumnElement[int]:
    """The key of PostgreSQL's advisory lock of a name in the current schema (the locks are the whole database's)."""
    return sqlalchemy.func.hashtextextended(sqlalchemy.func.current_schema() + "/" + name, 0)
