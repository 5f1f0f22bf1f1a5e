import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from shared.database import create_engine, reader, sqlite_url
from shared.errors import InvalidArgument


def test_a_sqlite_database_has_the_settings_it_needs(tmp_path: Path) -> None:
    engine = create_engine(sqlite_url(tmp_path / "new folder" / "state.db"))
    with engine.connect() as connection:
        values = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "busy_timeout", "foreign_keys", "synchronous")
        ]
    engine.dispose()
    assert values == ["wal", 30_000, 1, 2]  # FULL: a commit is synced


def test_foreign_keys_hold_and_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    engine = create_engine(sqlite_url(tmp_path / "state.db"))
    metadata = sa.MetaData()
    runs = sa.Table("runs", metadata, sa.Column("id", sa.Integer, primary_key=True))
    rounds = sa.Table("rounds", metadata, sa.Column("run", sa.ForeignKey("runs.id")))
    metadata.create_all(engine)

    def write_a_round_of_no_run() -> None:
        with engine.begin() as connection:
            connection.execute(runs.insert(), {"id": 1})
            connection.execute(rounds.insert(), {"run": 2})

    with pytest.raises(IntegrityError):
        write_a_round_of_no_run()
    with engine.connect() as connection:
        assert connection.execute(sa.select(runs)).all() == []
    engine.dispose()


def test_read_then_write_in_many_threads_loses_no_update(tmp_path: Path) -> None:
    engine = create_engine(sqlite_url(tmp_path / "state.db"))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE counter (n INTEGER)")
        connection.exec_driver_sql("INSERT INTO counter VALUES (0)")

    def add() -> None:
        for _ in range(20):
            with engine.begin() as connection:
                n = connection.exec_driver_sql("SELECT n FROM counter").scalar_one()
                connection.exec_driver_sql("UPDATE counter SET n = ?", (n + 1,))

    threads = [threading.Thread(target=add) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT n FROM counter").scalar_one() == 120
    engine.dispose()


def test_a_reader_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    engine = create_engine(sqlite_url(tmp_path / "state.db"))
    with engine.begin() as writing:
        writing.exec_driver_sql("CREATE TABLE t (n INTEGER)")
        with reader(engine).connect() as reading:
            assert reading.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one() == 0
    engine.dispose()


def test_many_engines_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    barrier, modes = threading.Barrier(8), []

    def open_it() -> None:
        engine = create_engine(sqlite_url(tmp_path / "state.db"))
        barrier.wait()
        with engine.connect() as connection:
            modes.append(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one())
        engine.dispose()

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert modes == ["wal"] * 8


def test_a_postgresql_url_gets_the_installed_driver() -> None:
    engine = create_engine("postgresql://someone:secret@database.example/medq")
    assert engine.url.drivername == "postgresql+psycopg"
    assert engine.dialect.name == "postgresql"


@pytest.mark.parametrize("url", ["", "not a url", "mysql://host/x", "sqlite://", "sqlite:///:memory:"])
def test_other_urls_are_invalid(url: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        create_engine(url)
    assert caught.value.field == "url"


def test_all_of_sqlalchemy_is_there_before_a_thread_uses_it() -> None:
    # DBOS imports sqlalchemy.orm when it is launched: a statement made meanwhile in another thread met half of it.
    check = "import sys, shared.database; sys.exit('sqlalchemy.orm' not in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
