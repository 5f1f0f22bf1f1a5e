"""The command that prepares PostgreSQL for all services."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from services.migrate import migrate
from services.registry import REGISTRY
from shared.database import create_engine
from shared.errors import InvalidArgument
from shared.settings import SERVICES
from tests.support.databases import postgres_installation

#: What an image without models, Kafka and S3 does not have, or need not load.
HEAVY = {"torch", "transformers", "kafka", "minio", "qdrant_client", "qdrant_edge", "kubernetes", "pydicom"}


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    with postgres_installation(postgres) as url:
        yield url


def run(url: str, patience: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.migrate"],
        env={**os.environ, "MEDQ_MIGRATE_DATABASE_URL": url, "MEDQ_MIGRATE_PATIENCE_SECONDS": str(patience)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_command_says_what_it_did_and_the_second_time_there_is_nothing_to_do(url: str) -> None:
    first, second = (
        [json.loads(line) for line in run(url).stderr.splitlines() if line.startswith("{")] for _ in range(2)
    )
    assert {line["schema"] for line in first} == {*SERVICES, "dbos"}
    assert [line["was"] for line in first if "was" in line] == ["nothing"] * len(SERVICES)
    assert all(line["was"] == line["now"] for line in second if "was" in line)
    for name, entry in REGISTRY.items():
        engine = create_engine(url, schema=name)
        entry.schema.require(engine, patience_seconds=0)
        engine.dispose()


def test_two_at_the_same_time_do_it_once(url: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(migrate, url) for _ in range(2)]:
            done.result()
    engine = create_engine(url)
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM controller.alembic_version")).scalar() == 1
    engine.dispose()


def test_a_server_that_cannot_be_reached_is_told_with_a_remedy() -> None:
    ended = run("postgresql://medq:secret@127.0.0.1:1/medq", patience=0)
    assert ended.returncode == 1
    assert "PostgreSQL gave no connection" in ended.stderr
    assert "remedy" in ended.stderr
    assert "secret" not in ended.stderr


@pytest.mark.parametrize("url", ["", "sqlite:////tmp/x.sqlite"])
def test_what_is_no_postgresql_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument):
        migrate(url)


def test_the_command_loads_no_models_and_no_cluster_libraries() -> None:
    program = f"import sys, services.migrate; print(sorted({HEAVY!r} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.strip() == "[]"
