"""What the cluster test starts on this machine: its own Kafka, S3 and PostgreSQL, the images, the node."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from shared.settings import SERVICES

ROOT = Path(__file__).resolve().parents[2]
DEV = ROOT / "infra" / "dev"
#: This machine, as pods see it; the node, as this machine sees it.
HOST, NODE = "10.201.0.1", "10.201.0.2"
#: Ports of its own, so that servers started for other purposes stay as they are.
KAFKA_PORT, S3_PORT, POSTGRES_PORT = 31092, 31000, 31432
#: Kafka's listener for pods lies two above the first.
POD_KAFKA_PORT = KAFKA_PORT + 2
S3_USER, S3_PASSWORD = "medq", "medq-local-only"
IMAGES = (*SERVICES, "web", "client")
TAG = "dev"
_NETWORK = Path("/run/netns/medq-kube")


class CommandFailed(Exception):
    """A command ended with an error; its own words are the message."""


class Machine:
    """This machine.

    Args:
        home: Folder for servers' data, volumes and logs; made where it is missing.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.volumes = home / "volumes"
        self.was_node_up = _NETWORK.exists()
        self.environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "MEDQ_DEV_RUN": str(home / "servers"),
            "MEDQ_KAFKA_PORT": str(KAFKA_PORT),
            "MEDQ_S3_PORT": str(S3_PORT),
            "MEDQ_POSTGRES_PORT": str(POSTGRES_PORT),
            "MEDQ_POD_ADDRESS": HOST,
            "TAG": TAG,
        }

    def call(self, *command: str | Path, seconds: float = 600, text: str | None = None, is_shown: bool = False) -> str:
        """Run a command to its end.

        Args:
            command: The program and its arguments.
            seconds: It is killed after so long.
            text: Its standard input.
            is_shown: Its messages go to the terminal instead of into the error.

        Returns: Its standard output.

        Raises:
            CommandFailed: It ended with an error, or took too long.
        """
        try:
            ended = subprocess.run(
                command,
                input=text,
                stdin=subprocess.DEVNULL if text is None else None,
                stdout=subprocess.PIPE,
                stderr=None if is_shown else subprocess.PIPE,
                text=True,
                timeout=seconds,
                env=self.environment,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise CommandFailed(f"{_shown(command)}: no end after {seconds:.0f} s") from error
        if ended.returncode != 0:
            raise CommandFailed(f"{_shown(command)}: {(ended.stderr or '')[-1500:]}{ended.stdout[-500:]}")
        return ended.stdout

    def start_servers(self) -> None:
        """Kafka, S3 and PostgreSQL, empty."""
        self.stop_servers()
        self.call(DEV / "servers", "up", seconds=1200, is_shown=True)

    def stop_servers(self) -> None:
        """Stop them, and drop their data."""
        self.call(DEV / "servers", "down", "--wipe")

    def start_node(self) -> None:
        """The node; its binaries are compiled the first time."""
        exports = self.call(DEV / "kube", "up", seconds=3000, is_shown=True).split()[1:]
        settings = dict(word.split("=", 1) for word in exports)
        self.environment["KUBECONFIG"] = settings["KUBECONFIG"]
        self.environment["PATH"] = settings["PATH"].replace("$PATH", self.environment["PATH"])

    def start_ingress(self) -> None:
        """The ingress controller of the node; it is compiled the first time, and stops with the node."""
        self.call(DEV / "kube", "ingress", seconds=3000, is_shown=True)

    def stop_node(self) -> None:
        """Stop the node, unless it was up before."""
        if not self.was_node_up:
            self.call(DEV / "kube", "down", is_shown=True)

    def build_images(self) -> None:
        """All images, from the working tree."""
        self.call(ROOT / "infra" / "images" / "build", *IMAGES, seconds=2400, is_shown=True)

    def load_images(self) -> None:
        """Carry the images into the node; a layer that several share, or that is there already, goes once or not at all.

        One after the other: of each, the disk holds three copies while it is carried.
        """
        for name in IMAGES:
            self.call(DEV / "kube", "load-from-podman", f"localhost/medq-{name}:{TAG}", seconds=1800)

    def run_node_tests(self) -> str:
        """The tests that need a node: every manifest before the API server, training Jobs that are killed and called off.

        Returns: Their last line.
        """
        self.environment |= {
            "MEDQ_TEST_KUBECONFIG": self.environment["KUBECONFIG"],
            "MEDQ_TEST_TRAINING_IMAGE": f"localhost/medq-training:{TAG}",
            "MEDQ_TEST_CLUSTER_S3": f"http://{S3_USER}:{S3_PASSWORD}@{HOST}:{S3_PORT}",
        }
        pytest = (sys.executable, "-m", "pytest", "-q", "--rootdir", ROOT, ROOT / "tests" / "cluster")
        return self.call(*pytest, seconds=1200).strip().splitlines()[-1]

    def make_volumes(self) -> None:
        """The folders of the data and of the index; pods may write by their group."""
        for name in ("data", "retrieval"):
            folder = self.volumes / name
            folder.mkdir(parents=True, exist_ok=True)
            os.chown(folder, 0, 10001)
            folder.chmod(0o2775)


def _shown(command: Sequence[str | Path]) -> str:
    return " ".join(str(word) for word in command)[:200]
