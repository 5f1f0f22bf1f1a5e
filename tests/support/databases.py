"""Databases for tests, of both kinds: a SQLite file, or a schema of its own on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from shared.database import create_engine, sqlite_url


@dataclass
class Database:
    """One database, which each engine made here sees.

    Attributes:
        url: What `create_engine` takes.
        schema: The schema in PostgreSQL; "" for a file.
    """

    url: str
    schema: str = ""
    _engines: list[sa.Engine] = field(default_factory=list)

    def engine(self, *tables: sa.MetaData) -> sa.Engine:
        """Open it, as another process would, with these tables in it."""
        engine = create_engine(self.url, self.schema)
        self._engines.append(engine)
        for metadata in tables:
            metadata.create_all(engine)
        return engine

    def close(self) -> None:
        """Close all engines."""
        for engine in self._engines:
            engine.dispose()


@contextmanager
def sqlite_database(folder: Path) -> Iterator[Database]:
    """A file."""
    database = Database(sqlite_url(folder / "test.sqlite"))
    try:
        yield database
    finally:
        database.close()


@contextmanager
def postgres_database(url: str) -> Iterator[Database]:
    """A schema, dropped at the end."""
    database = Database(url, f"test_{uuid4().hex[:12]}")
    server = create_engine(url)
    with server.begin() as connection:
        connection.execute(sa.schema.CreateSchema(database.schema))
    try:
        yield database
    finally:
        database.close()
        with server.begin() as connection:
            connection.execute(sa.schema.DropSchema(database.schema, cascade=True))
        server.dispose()


@contextmanager
def postgres_installation(url: str) -> Iterator[str]:
    """The URL of a database of its own on a PostgreSQL, empty at first, dropped at the end."""
    name = f"test_{uuid4().hex[:12]}"
    server = create_engine(url).execution_options(isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    try:
        yield make_url(url).set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.dispose()
