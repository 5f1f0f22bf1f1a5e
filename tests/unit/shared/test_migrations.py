"""Migrations and tables say the same, on both databases; what was there before stays."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from infra.new_migration import add_migration
from services.registry import REGISTRY
from shared.database import create_engine, sqlite_url
from shared.errors import FailedPrecondition, Unavailable
from shared.migrations import Schema, revision_of
from shared.operation_rows import OperationRows
from shared.operation_table import METADATA as OPERATIONS
from shared.operation_table import PENDING
from tests.support.databases import Database, sqlite_database

SCHEMAS = [entry.schema for entry in REGISTRY.values()]
schemas = pytest.mark.parametrize("schema", SCHEMAS, ids=[schema.name for schema in SCHEMAS])


def differences(connection: sa.Connection, schema: Schema) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return compare_metadata(context, list(schema.tables))  # type: ignore[arg-type]


@schemas
def test_the_migrations_of_a_service_make_the_tables_that_its_code_knows(schema: Schema, database: Database) -> None:
    with database.engine().begin() as connection:
        schema.upgrade(connection)
        assert differences(connection, schema) == []
        assert revision_of(connection) == schema.head


@schemas
def test_a_new_file_is_as_its_migrations_would_have_left_it(schema: Schema, tmp_path: Path) -> None:
    with sqlite_database(tmp_path) as database:
        engine = database.engine()
        schema.migrate_file(engine)
        with engine.begin() as connection:
            assert differences(connection, schema) == []
            assert revision_of(connection) == schema.head
            schema.upgrade(connection)  # has nothing to do


@schemas
def test_migrations_are_one_line_of_numbers(schema: Schema) -> None:
    files = sorted(schema.migrations.glob("[0-9]*.py"))
    for number, path in enumerate(files, start=1):
        named = {
            target.id: ast.literal_eval(node.value)
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        before = f"{number - 1:04d}" if number > 1 else None
        assert (path.name[:4], named["revision"], named["down_revision"]) == (
            f"{number:04d}", f"{number:04d}", before,
        )  # fmt: skip


@schemas
def test_rows_of_the_first_release_survive_all_migrations(schema: Schema, database: Database) -> None:
    engine = database.engine()
    with engine.begin() as connection:
        schema.upgrade(connection, to="0001")
    OperationRows(engine, "one", 30.0).insert("a", "Train", b"request", "digest")
    with engine.begin() as connection:
        schema.upgrade(connection)
    found = OperationRows(engine, "one", 30.0).get("a")
    assert (found.operation_id, found.kind, found.state) == ("a", "Train", PENDING)


def test_a_file_of_the_release_without_migrations_is_taken_over_with_its_rows(tmp_path: Path) -> None:
    with sqlite_database(tmp_path) as database:
        engine = database.engine()
        with engine.begin() as connection:
            SCHEMAS[0].upgrade(connection, "0001")
            connection.execute(sa.text("DROP TABLE alembic_version"))
        OperationRows(engine, "one", 30.0).insert("a", "Train", b"request", "digest")
        SCHEMAS[0].migrate_file(engine)
        with engine.connect() as connection:
            assert revision_of(connection) == SCHEMAS[0].head
        assert OperationRows(engine, "one", 30.0).get("a").kind == "Train"


def test_a_file_that_is_up_to_date_needs_no_alembic(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "retrieval.sqlite")
    program = (
        "import sys; from services.retrieval.migrations import SCHEMA; from shared.database import create_engine;"
        f"SCHEMA.migrate_file(create_engine({url!r})); sys.exit('alembic' in sys.modules)"
    )
    for _ in range(2):  # a new file, and one that is there
        assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


class Grown:
    """A service whose second release has one more column."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def release(self, *columns: sa.Column[object]) -> Schema:
        metadata = sa.MetaData()
        sa.Table("things", metadata, sa.Column("id", sa.Integer, primary_key=True), *columns)
        return Schema("grown", (OPERATIONS, metadata), self.folder)


@pytest.fixture
def releases(tmp_path: Path) -> tuple[Schema, Schema]:
    """Two releases, each with the migration that `infra.new_migration` wrote for it."""
    grown = Grown(tmp_path / "migrations")
    first = grown.release()
    add_migration(first, "the first tables")
    second = grown.release(sa.Column("colour", sa.Text, nullable=False, server_default="grey"))
    assert first.head == "0001"
    add_migration(second, "the colour of a thing")
    return first, second


def test_a_database_of_an_earlier_release_with_rows_in_it_is_brought_up(
    releases: tuple[Schema, Schema], database: Database
) -> None:
    _, second = releases
    engine = database.engine()
    with engine.begin() as connection:
        second.upgrade(connection, to="0001")
        connection.execute(sa.text("INSERT INTO things (id) VALUES (7)"))
    with engine.begin() as connection:
        second.upgrade(connection)
        assert connection.execute(sa.text("SELECT id, colour FROM things")).all() == [(7, "grey")]
        assert differences(connection, second) == []
    if engine.dialect.name == "sqlite":
        second.migrate_file(engine)


def test_a_release_works_on_newer_tables_and_refuses_older_ones(
    releases: tuple[Schema, Schema], database: Database
) -> None:
    first, second = releases
    engine = database.engine()
    with pytest.raises(FailedPrecondition, match="tables of grown") as caught:
        first.require(engine, patience_seconds=0)
    assert "services.migrate" in caught.value.remedy
    with engine.begin() as connection:
        second.upgrade(connection, to="0001")
    first.require(engine, patience_seconds=0)
    with pytest.raises(FailedPrecondition):
        second.require(engine, patience_seconds=0)
    with engine.begin() as connection:
        second.upgrade(connection)
    for release in releases:
        release.require(engine, patience_seconds=0)


def test_a_migration_that_fails_leaves_the_tables_as_they_were(
    releases: tuple[Schema, Schema], database: Database
) -> None:
    _, second = releases
    path = next(second.migrations.glob("0002*"))
    path.write_text(path.read_text() + "    raise RuntimeError\n")
    engine = database.engine()
    with engine.begin() as connection:
        second.upgrade(connection, to="0001")
    with pytest.raises(RuntimeError), engine.begin() as connection:
        second.upgrade(connection)
    with engine.connect() as connection:
        assert revision_of(connection) == "0001"
        assert [column["name"] for column in sa.inspect(connection).get_columns("things")] == ["id"]


def test_a_postgresql_that_does_not_answer_is_unavailable() -> None:
    engine = create_engine("postgresql://medq@127.0.0.1:1/medq")
    with pytest.raises(Unavailable):
        SCHEMAS[0].require(engine, patience_seconds=0)
