"""Tables come and change by migrations: numbered Alembic files, `services/<name>/migrations/0001_*.py` and so on.

Each service has a line of its own: a schema of PostgreSQL or a SQLite file, with its own table `alembic_version`. On
PostgreSQL one job runs them all (`python -m services.migrate`) and a service only checks; a SQLite file is migrated by the
process that owns it. A service also works on tables that are newer than it knows: see ADR 0006.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from shared.database import OUTAGES, reader
from shared.errors import FailedPrecondition, Unavailable

if TYPE_CHECKING:
    from alembic.config import Config

#: How long a process waits at its start for PostgreSQL and for the job that migrates.
PATIENCE_SECONDS = 60.0
_SCRIPTS = Path(__file__).parent / "alembic"
_FIRST = "0001"
_VERSION = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


@dataclass(frozen=True)
class Schema:
    """The database of one service.

    Attributes:
        name: The service's folder name, and the schema in PostgreSQL.
        tables: All of its tables, as the code knows them.
        migrations: The folder of the files that make them.
    """

    name: str
    tables: tuple[sa.MetaData, ...]
    migrations: Path

    @cached_property
    def head(self) -> str:
        """The number of the newest migration: "0001"."""
        return max(path.name[:4] for path in self.migrations.glob("[0-9]*.py"))

    def create_all(self, connection: sa.Connection) -> None:
        """Make the tables of a new database without running its migrations, as they all would have left it."""
        for metadata in self.tables:
            metadata.create_all(connection)
        self._stamp(connection, self.head)

    def is_current(self, connection: sa.Connection) -> bool:
        """True if the tables are those that the code knows, or newer."""
        return (revision_of(connection) or "") >= self.head

    def migrate_file(self, engine: sa.Engine) -> None:
        """Bring a SQLite file, which may be new, to the newest migration; cheap where it is there."""
        with reader(engine).connect() as connection:
            if self.is_current(connection):
                return
        with engine.begin() as connection:  # one process at a time
            if not sa.inspect(connection).get_table_names():
                self.create_all(connection)
                return
            if revision_of(connection) is None:  # made by the release that had no migrations
                self._stamp(connection, _FIRST)
            self.upgrade(connection)

    def upgrade(self, connection: sa.Connection, to: str = "head") -> None:
        """Run the migrations that are missing, up to a number or all, in the caller's transaction."""
        from alembic import command

        command.upgrade(self.alembic_config(connection), to)

    def require(self, engine: sa.Engine, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Check that PostgreSQL answers and that the migrations have been run, or wait for it.

        Raises:
            Unavailable: PostgreSQL did not answer.
            FailedPrecondition: The migrations were not run.
        """
        for attempt in Retrying(
            retry=retry_if_exception_type((Unavailable, FailedPrecondition)),
            stop=stop_after_delay(patience_seconds),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            reraise=True,
        ):
            with attempt:
                self._check(engine)

    def alembic_config(self, connection: sa.Connection) -> Config:
        """What Alembic's commands need to know."""
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(_SCRIPTS))
        config.set_main_option("path_separator", "newline")
        config.set_main_option("version_locations", str(self.migrations))
        config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
        config.attributes.update(connection=connection, tables=list(self.tables))
        return config

    def _check(self, engine: sa.Engine) -> None:
        try:
            with engine.connect() as connection:
                is_current = self.is_current(connection)
        except OUTAGES as error:
            raise Unavailable(
                "PostgreSQL does not answer.", field="database_url", remedy="Does it run, and is the URL right?"
            ) from error
        if not is_current:
            raise FailedPrecondition(
                f"The tables of {self.name} are not those that this release needs.",
                field="database_url",
                remedy="Run `python -m services.migrate` first (it reads MEDQ_MIGRATE_DATABASE_URL).",
            )

    def _stamp(self, connection: sa.Connection, revision: str) -> None:
        _VERSION.create(connection)
        connection.execute(sa.insert(_VERSION).values(version_num=revision))


def revision_of(connection: sa.Connection) -> str | None:
    """The number of the newest migration that was run; None where none was."""
    if not sa.inspect(connection).has_table(_VERSION.name):
        return None
    return connection.execute(sa.select(_VERSION.c.version_num)).scalar()
