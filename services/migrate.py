"""Make and change the tables of all six services on PostgreSQL: `python -m services.migrate`, before they start.

One at a time, however many are started; what is there already is left as it is. Reads `MEDQ_MIGRATE_DATABASE_URL`.
"""

from __future__ import annotations

import time

import sqlalchemy as sa
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from services.controller.adapters.dbos_workflows import migrate_steps
from services.registry import REGISTRY
from shared.database import OUTAGES, create_engine, lock_key
from shared.errors import InvalidArgument, MedqError, Unavailable
from shared.logs import configure_logs, get_logger, log_uncaught_errors
from shared.migrations import Schema, revision_of

_PAUSE_SECONDS = 1.0
_log = get_logger("migrate")


class MigrateSettings(BaseSettings):
    """`MEDQ_MIGRATE_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="MEDQ_MIGRATE_", frozen=True, hide_input_in_errors=True)

    database_url: SecretStr = Field(
        SecretStr(""), description="postgresql://user:password@host/database of a role that may create schemas."
    )
    patience_seconds: float = Field(60.0, ge=0, description="How long to wait for PostgreSQL to answer.")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level logged.")


def migrate(url: str, patience_seconds: float = 60.0) -> None:
    """Run what is missing, and log what was done.

    Raises:
        InvalidArgument: The URL is none of PostgreSQL.
        Unavailable: PostgreSQL did not answer in this time.
    """
    server = create_engine(url)
    if server.dialect.name != "postgresql":
        raise InvalidArgument(
            "Only PostgreSQL is migrated by this command.",
            field="MEDQ_MIGRATE_DATABASE_URL",
            remedy="postgresql://user:password@host/database; a SQLite file is migrated by its service.",
        )
    with _connected(server, patience_seconds) as held:
        _wait_for_turn(held)
        for entry in REGISTRY.values():
            _migrate_schema(url, held, entry.schema)
        migrate_steps(url)
        _log.info("migrated", schema="dbos")
    server.dispose()


def _connected(server: sa.Engine, patience_seconds: float) -> sa.Connection:
    """A connection whose statements are transactions of their own, once there is one."""
    patiently = Retrying(
        retry=retry_if_exception_type(OUTAGES),
        stop=stop_after_delay(patience_seconds),
        wait=wait_random_exponential(multiplier=0.2, max=2),
        reraise=True,
    )
    try:
        return patiently(server.connect).execution_options(isolation_level="AUTOCOMMIT")
    except OUTAGES as error:
        # The driver says why, and no password.
        _log.error("no_connection", driver_says=str(getattr(error, "orig", error)))
        raise Unavailable(
            f"PostgreSQL gave no connection within {patience_seconds:.0f} s.",
            field="MEDQ_MIGRATE_DATABASE_URL",
            remedy="Does it run, does the database exist, and may the user in?",
        ) from None


def _wait_for_turn(server: sa.Connection) -> None:
    """Take the lock of all migrations. Asked again and again: a statement that waited would keep DBOS's indices waiting."""
    lock = sa.select(sa.func.pg_try_advisory_lock(lock_key("migrate")))
    while not server.execute(lock).scalar_one():
        _log.info("waits_for_another_migration")
        time.sleep(_PAUSE_SECONDS)


def _migrate_schema(url: str, server: sa.Connection, schema: Schema) -> None:
    server.execute(sa.schema.CreateSchema(schema.name, if_not_exists=True))
    engine = create_engine(url, schema=schema.name)
    with engine.begin() as connection:
        connection.execute(sa.text("SET LOCAL statement_timeout = 0"))  # a migration may copy a large table
        was = revision_of(connection)
        schema.upgrade(connection)
        now = revision_of(connection)
    engine.dispose()
    _log.info("migrated", schema=schema.name, was=was or "nothing", now=now)


def main() -> None:
    """Migrate what the environment names."""
    settings = MigrateSettings()
    configure_logs(settings.log_level)
    log_uncaught_errors()
    try:
        migrate(settings.database_url.get_secret_value(), settings.patience_seconds)
    except MedqError as error:
        _log.error("not_migrated", reason=error.reason, message=error.message, remedy=error.remedy)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
