"""The oracle service as a process of its own on a queue that is filled beforehand, for the benchmarks of the queue."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import grpc
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from medq.oracle.v1 import review_pb2 as pb
from medq.oracle.v1.review_pb2_grpc import ReviewServiceStub
from services.oracle.domain.annotation import ReviewTask
from services.oracle.domain.review import QueueEntry
from services.oracle.migrations import SCHEMA
from services.oracle.settings import OracleSettings
from services.oracle.store.reviews import ReviewStore
from shared.database import create_engine, sqlite_url
from shared.resources import database_file
from shared.rows.annotation import Question

RUN = "benchmark"
_AT_ONCE = 1000
_START_SECONDS = 120.0
_SERVERS = Path(__file__).resolve().parent.parent / "infra" / "dev" / "servers"


def entry(number: int) -> QueueEntry:
    """A task of usual size."""
    question = Question(
        question_id=f"image/{number}",
        image_uri="sha256:" + "0" * 64,
        question="Which of these degradations impairs the image most?",
        options={"A": "Noise", "B": "Motion blur", "C": "Ghosting", "D": "None of these"},
    )
    asked = ReviewTask(
        decision_id=f"d-{number:08d}", question=question, question_type="what", attribute="noise", modality="mri",
        reference_answer="A", self_answer="B", proposal="A", entropy=0.25, agreement=0.0, route="expert", route_reason="",
    )  # fmt: skip
    return QueueEntry("work", RUN, "arm", 1, f"key-{number}", asked, 30.0)


class QueueServer:
    """An oracle service that can be killed and started again.

    Args:
        folder: For its socket, its state and its log.
        database_url: A PostgreSQL whose schema is made; "" for a SQLite file in the folder.
    """

    def __init__(self, folder: Path, database_url: str = "") -> None:
        self.folder, self.database_url = folder, database_url
        self.target = f"unix:{folder}/o.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def engine(self) -> sa.Engine:
        """The service's database."""
        if self.database_url:
            return create_engine(self.database_url, schema=SCHEMA.name)
        return create_engine(sqlite_url(database_file(self.folder / "state", SCHEMA)))

    def fill(self, n_tasks: int) -> None:
        """Make the tables, and queue tasks."""
        engine = self.engine()
        if self.database_url:
            with engine.begin() as connection:
                connection.execute(sa.schema.CreateSchema(SCHEMA.name))
                SCHEMA.upgrade(connection)
        else:
            SCHEMA.migrate_file(engine)
        queue = ReviewStore(engine)
        for start in range(0, n_tasks, _AT_ONCE):
            queue.put(
                [entry(number) for number in range(start, min(start + _AT_ONCE, n_tasks))], "operation", "request"
            )
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("ANALYZE"))
        engine.dispose()

    def start(self) -> None:
        """Start the process, and wait until it answers."""
        nowhere = f"unix:{self.folder}/nobody.sock"
        settings = {
            "STATE_FOLDER": str(self.folder / "state"),
            "LISTEN": self.target,
            "DATABASE_URL": self.database_url,
            "TARGETS": json.dumps({"controller": nowhere, "evaluation": nowhere}),
            "LOG_LEVEL": "ERROR",
        }
        prefix = str(OracleSettings.model_config["env_prefix"])
        environment = os.environ | {prefix + name: value for name, value in settings.items()}
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "services.oracle"]
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        with grpc.insecure_channel(self.target) as channel:
            ReviewServiceStub(channel).GetTask(
                pb.GetTaskRequest(task_id=entry(0).task_id), wait_for_ready=True, timeout=_START_SECONDS
            )

    def processor_seconds(self) -> float:
        """What the process has taken of the processor since it began."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """End the process as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def postgresql(url: str) -> Iterator[str]:
    """A database of its own on a PostgreSQL, dropped at the end; "" where there is none.

    Args:
        url: Of the server; "": the one that `infra/dev/servers` starts and leaves running, where it can be had.
    """
    if not url:
        started = subprocess.run([_SERVERS, "up", "postgres"], capture_output=True, text=True, check=False)
        url = started.stdout.strip().split("=", 1)[1] if started.returncode == 0 else ""
    if not url:
        yield ""
        return
    name = f"benchmark_{uuid4().hex[:12]}"
    server = create_engine(url).execution_options(isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    try:
        yield make_url(url).set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.dispose()
