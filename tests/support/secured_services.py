"""The six services in one process, on TCP ports with TLS and tokens: `python -m tests.support.secured_services FOLDER PORT`.

Run by a test as a program of its own; stops at SIGTERM. `write_site` makes what it reads.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Site:
    """What a caller needs.

    Attributes:
        folder: Holds everything, `state` among it, and `site.json`, which the services read.
        server: host:port of the controller.
        ca_file: Authority of the servers' certificate.
        tokens: Role to file of a token.
        log: What the services wrote to standard error.
    """

    folder: Path
    server: str
    targets: dict[str, str]
    ca_file: Path
    tokens: dict[str, Path]
    log: Path

    def arguments(self, role: str) -> list[str | Path]:
        """Options of `medq` for a caller of this role."""
        return ["--server", self.server, "--tls-ca", self.ca_file, "--token-file", self.tokens[role]]


def write_site(folder: Path) -> Site:
    """An authority, a certificate, a token for each role, six free ports."""
    from shared.rpc.rights import Role
    from shared.settings import SERVICES
    from tests.support.certificates import Authority
    from tests.support.guarded import add_caller

    folder.mkdir(parents=True)
    authority = Authority(folder)
    certificate, key = authority.issue("services")
    callers = folder / "callers.yaml"
    tokens = {}
    for role in Role:
        tokens[role.value] = folder / f"{role}.token"
        tokens[role.value].write_text(add_caller(callers, f"the {role}", role) + "\n")
    first = free_port(range(len(SERVICES)))
    targets = {name: f"127.0.0.1:{port}" for port, name in enumerate(SERVICES, first)}
    overrides = {
        "targets": targets,
        "tls": {"certificate_file": str(certificate), "key_file": str(key), "ca_file": str(authority.ca_file)},
        "auth": {"tokens_file": str(callers), "token_file": str(tokens["service"])},
    }
    (folder / "site.json").write_text(json.dumps(overrides), encoding="utf-8")
    return Site(folder, targets["controller"], targets, authority.ca_file, tokens, folder / "services.log")


@contextmanager
def secured_services(site: Site) -> Iterator[None]:
    """Serve in a program of its own; it has been told to stop, and has, at the end."""
    command = [sys.executable, "-m", "tests.support.secured_services", str(site.folder)]
    with (
        site.log.open("w") as log,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            if process.stdout is None or process.stdout.readline() != "serving\n":
                raise RuntimeError(site.log.read_text()[-2000:])
            yield
        finally:
            process.send_signal(signal.SIGTERM)
    if process.returncode != 0:
        raise RuntimeError(site.log.read_text()[-2000:])


def main() -> None:
    """Serve until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    from services.embedded import Embedded
    from shared.logs import configure_logs

    folder = Path(sys.argv[1])
    configure_logs("INFO")
    overrides = json.loads((folder / "site.json").read_text(encoding="utf-8"))
    with Embedded(folder / "state", overrides):
        sys.stdout.write("serving\n")
        sys.stdout.flush()
        stop.wait()


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "shared" / "gen")]
    main()
