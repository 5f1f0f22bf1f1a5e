"""One way to open a database: SQLite in the embedded form, PostgreSQL on a cluster.

A SQLite file is opened for several threads and processes at once: write-ahead log, a busy timeout of 30 s,
and every transaction takes the write lock when it begins, so that none fails half way because another wrote
in between. A transaction that only reads uses `reader(engine)` and waits for nobody.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_random

from shared.errors import InvalidArgument

BUSY_TIMEOUT_SECONDS = 30.0
_POOL_SIZE = 16
_BEGIN = "medq_begin"
# A broken connection is noticed after a minute, not after the two hours of the kernel's default.
_POSTGRESQL_KEEPALIVE = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
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
        InvalidArgument: not a URL, a database in memory (each connection would see another one), or another
            kind of database.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InvalidArgument(
            "not a database URL", field="url", remedy="use sqlite:////path or postgresql://"
        ) from None
    kind = parsed.get_backend_name()
    if kind == "postgresql":
        options = {"options": f"-csearch_path={schema}"} if schema else {}
        return sqlalchemy.create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            pool_size=_POOL_SIZE,
            connect_args={**_POSTGRESQL_KEEPALIVE, **options},
        )
    if kind != "sqlite":
        raise InvalidArgument(
            "no such kind of database", field="url", value=kind, remedy="use sqlite or postgresql"
        )
    if parsed.database in (None, "", ":memory:"):
        raise InvalidArgument("a database in memory is not shared", field="url", remedy="name a file")
    Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = sqlalchemy.create_engine(
        parsed, pool_size=_POOL_SIZE, max_overflow=_POOL_SIZE, connect_args={"timeout": BUSY_TIMEOUT_SECONDS}
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def reader(engine: Engine) -> Engine:
    """The same database for transactions that only read: on SQLite they neither take nor wait for the write
    lock.
    """
    return engine.execution_options(**{_BEGIN: "DEFERRED"})


# The change to the write-ahead log does not honour the busy timeout when two processes make a new file at the
# same moment.
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
    connection.execute("PRAGMA synchronous=NORMAL").close()
    connection.execute("PRAGMA foreign_keys=ON").close()


def _begin_sqlite(connection: Connection) -> None:
    mode = str(connection.get_execution_options().get(_BEGIN, "IMMEDIATE"))
    connection.exec_driver_sql(f"BEGIN {mode}")


def insert_ignoring(connection: Connection, table: sqlalchemy.Table, values: Mapping[str, object]) -> bool:
    """Insert a row unless one with its key is there, which stays as it is; whether it was inserted."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return bool(connection.execute(dialect.insert(table).values(values).on_conflict_do_nothing()).rowcount)
