"""The pages, the oracle and the controller as processes of their own, which are killed and started again on the same state."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import grpc
import sqlalchemy as sa
from cryptography.fernet import Fernet
from pydantic_settings import BaseSettings

from medq.oracle.v1 import oracle_pb2 as pb
from medq.oracle.v1.oracle_pb2_grpc import OracleServiceStub
from services.controller.settings import ControllerSettings
from services.oracle.migrations import SCHEMA
from services.oracle.settings import OracleSettings
from services.oracle.store.review_tables import QueuedTask
from services.oracle.store.reviews import ReviewStore
from shared.objects.folder import FolderObjectStore
from shared.resources import open_database
from shared.rpc.channels import Channels, Credentials
from shared.rpc.operations import await_operation
from shared.rpc.rights import Role
from shared.settings import AuthSection, TlsSection, environment_of
from tests.support.annotation import FakeNeighbours, OracleWorld
from tests.support.controller_house import until
from tests.support.guarded import add_caller
from tests.support.oracle_house import REVIEW, until_waiting
from tests.support.ports import free_port
from web.settings import LoginSection, WebSettings

RUN, OPERATION = "run", "op"


class ReviewProcesses:
    """`python -m services.controller`, `services.oracle` and `web` over one state folder, and a model that is a stand-in.

    Attributes:
        url: Of the pages; the same after a kill.
        server: gRPC target of the controller.
        folder: Holds state, logs, and the files of tokens.
        objects: What the services store.
    """

    def __init__(self, folder: Path, stack: ExitStack, database_url: str) -> None:
        self.folder = folder
        self._state: dict[str, Any] = {"state_folder": folder / "state", "database_url": database_url}
        self._callers = folder / "callers.yaml"
        self.objects = FolderObjectStore(folder / "state" / "objects", synced=False)
        self._model = FakeNeighbours(self.objects)  # type: ignore[no-untyped-call]
        fake, targets = self._model.serve(folder)  # type: ignore[no-untyped-call]
        stack.callback(lambda: fake.stop(0).wait())
        self.server, oracle = f"unix:{folder}/c.sock", f"unix:{folder}/o.sock"
        self._targets = {"controller": self.server, "oracle": oracle, "evaluation": targets["evaluation"]}
        listen = f"127.0.0.1:{free_port()}"
        self.url = f"http://{listen}"
        self.token_file("services", Role.SERVICE, Role.OPERATOR)
        (folder / "login.key").write_bytes(Fernet.generate_key())
        pages = WebSettings(listen=listen)
        self._environments = {
            "services.controller": self._of_service(ControllerSettings, self.server),
            "services.oracle": self._of_service(OracleSettings, oracle),
            "web": environment_of(
                WebSettings,
                listen=pages.listen,
                targets=self._targets,
                auth=AuthSection(tokens_file=self._callers),
                login=LoginSection(key_file=folder / "login.key"),
            ),
        }
        self._processes: list[subprocess.Popen[bytes]] = []
        stack.callback(self.kill)

    def start(self) -> None:
        """Start all three, and wait until each answers."""
        for module, environment in self._environments.items():
            with (self.folder / f"{module}.log").open("ab") as log:
                command = [sys.executable, "-m", module]
                self._processes.append(subprocess.Popen(command, env=os.environ | environment, stdout=log, stderr=log))
        with self.channels() as channels:
            for name in ("controller", "oracle"):
                grpc.channel_ready_future(channels[name]).result(timeout=100)
        until(self._do_pages_answer)

    def hold(self) -> None:
        """Have them do nothing more, but not end: what comes lies in their sockets."""
        for process in self._processes:
            process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """End them as a power cut does."""
        for process in self._processes:
            process.kill()
            process.wait()
        self._processes.clear()

    def ask_for_reviews(self, n_images: int) -> None:
        """Begin an annotation of two questions about each image, and wait until it waits for people."""
        world = OracleWorld(self.objects, n_images)  # type: ignore[no-untyped-call]
        policy = pb.AnnotationPolicy(
            is_cold_start=True, question_mode=pb.QUESTION_MODE_CAPABILITY_DRIVEN, questions_per_image=2, max_in_flight=50,
            simulated_oracle_accuracy=1.0, oracle="simulated", expert=REVIEW, tau_entropy=0.5, tau_agreement=0.5, tau_text=0.5,
            tau_entropy_description=0.5, description_tokens=64,
        )  # fmt: skip
        known = pb.StartImportKnownAnswersRequest(operation_id="known", benchmark_uri=world.benchmark_uri)
        with self.channels() as channels:
            stub = OracleServiceStub(channels["oracle"])
            stub.StartImportKnownAnswers(known)
            known_uri = await_operation(channels["oracle"], "known").result_uri
            request = pb.StartAnnotateRequest(
                operation_id=OPERATION, run_id=RUN, arm="arm", round=0, seed=7, policy=policy, known_answers_uri=known_uri,
                selection_uri=world.selection_uri, model_uri=world.model_uri, benchmark_uri=world.dev_uri,
            )  # fmt: skip
            stub.StartAnnotate(request)
            until_waiting(channels["oracle"], OPERATION)

    @contextmanager
    def channels(self) -> Iterator[Channels]:
        """To the services, with all rights that a service and an operator have."""
        with Channels(self._targets, Credentials(TlsSection(), self.folder / "services.token")) as channels:
            yield channels

    @contextmanager
    def database(self) -> Iterator[sa.Engine]:
        """The oracle's database, beside the service."""
        engine = open_database(OracleSettings(**self._state), SCHEMA)
        try:
            yield engine
        finally:
            engine.dispose()

    def tasks(self) -> list[QueuedTask]:
        """All tasks as they stand in the database."""
        with self.database() as engine:
            return ReviewStore(engine).page("", "", 200)[0]

    def token(self, name: str, *roles: Role) -> str:
        """The token of a new caller."""
        return add_caller(self._callers, name, *roles)

    def token_file(self, name: str, *roles: Role) -> Path:
        """The same, in a file."""
        path = self.folder / f"{name}.token"
        path.write_text(self.token(name, *roles))
        return path

    def _of_service(self, settings: type[BaseSettings], listen: str) -> dict[str, str]:
        auth = AuthSection(tokens_file=self._callers, token_file=self.folder / "services.token")
        return environment_of(settings, listen=listen, targets=self._targets, auth=auth, **self._state)

    def _do_pages_answer(self) -> bool:
        try:
            with build_opener(ProxyHandler({})).open(f"{self.url}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False


@contextmanager
def review_processes(folder: Path, database_url: str = "") -> Iterator[ReviewProcesses]:
    """The processes, started.

    Args:
        folder: Empty; its path leaves room for sockets.
        database_url: A PostgreSQL database with its tables; "" for SQLite files.
    """
    with ExitStack() as stack:
        processes = ReviewProcesses(folder, stack, database_url)
        processes.start()
        yield processes
