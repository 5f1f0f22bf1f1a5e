"""What a service stands on, chosen by its settings: the embedded part, or the server that the settings name.

A cluster's adapters are imported only where they are asked for.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from shared.database import create_engine, sqlite_url
from shared.events.bus import EventBus
from shared.events.sqlite import SqliteEventBus
from shared.migrations import Schema
from shared.objects.folder import FolderObjectStore
from shared.objects.store import ObjectStore
from shared.settings import ServiceSettings


def open_database(settings: ServiceSettings, schema: Schema) -> Engine:
    """A service's database with its tables: its schema in PostgreSQL, or its own SQLite file in the state folder.

    Raises:
        Unavailable: PostgreSQL did not answer for a minute.
        FailedPrecondition: Its migrations were not run.
    """
    url = settings.database_url.get_secret_value()
    if url:
        engine = create_engine(url, schema=schema.name)
        schema.require(engine)
        return engine
    engine = create_engine(sqlite_url(database_file(settings.state_folder, schema)))
    schema.migrate_file(engine)
    return engine


def database_file(state_folder: Path, schema: Schema) -> Path:
    """Where a service has its SQLite file."""
    return state_folder / schema.name / f"{schema.name}.sqlite"


def open_bus(settings: ServiceSettings, *, is_sole_owner: bool = False) -> EventBus:
    """The event bus: Kafka, or a SQLite log that the services of one state folder share.

    Args:
        settings: Of any service.
        is_sole_owner: No other process has the log open; see `SqliteEventBus`.
    """
    if settings.kafka.bootstrap:
        from shared.events.kafka import KafkaEventBus

        return KafkaEventBus(settings.kafka)
    return SqliteEventBus(settings.state_folder / "events.sqlite", is_sole_owner=is_sole_owner)


def open_objects(settings: ServiceSettings) -> ObjectStore:
    """The object store: S3, or a folder in the state folder."""
    if settings.s3.endpoint:
        from shared.objects.s3 import S3ObjectStore

        return S3ObjectStore(settings.s3)
    return FolderObjectStore(settings.state_folder / "objects")
