"""Write the migration that brings a service's tables to what its code says: `python -m infra.new_migration SERVICE WHAT`.

Alembic compares the tables that the migrations so far make with those of the code; read what it writes before it is committed.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from alembic import command

from services.registry import REGISTRY
from shared.database import create_engine, sqlite_url
from shared.migrations import Schema


def add_migration(schema: Schema, what: str) -> None:
    """Write the next file into the folder of a service's migrations."""
    number = len(list(schema.migrations.glob("[0-9]*.py"))) + 1
    with tempfile.TemporaryDirectory() as name:
        engine = create_engine(sqlite_url(Path(name) / "empty.sqlite"))
        with engine.begin() as connection:
            config = schema.alembic_config(connection)
            command.upgrade(config, "heads")
            command.revision(config, what, autogenerate=True, rev_id=f"{number:04d}")
        engine.dispose()


def main() -> None:
    """Write the migration that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("service", choices=REGISTRY, help="folder name of the service")
    parser.add_argument("what", help='what changes, as a phrase: "keep the model of an answer"')
    arguments = parser.parse_args()
    add_migration(REGISTRY[arguments.service].schema, arguments.what)


if __name__ == "__main__":
    main()
