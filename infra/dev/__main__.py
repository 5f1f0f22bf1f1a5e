"""`make up` and `make down`: the six services as separate processes on real Kafka, S3 and PostgreSQL, on this machine.

python -m infra.dev up [--embedding N] [--evaluation N]
python -m infra.dev down [--wipe]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from infra.dev.deployment import FIRST_PORT, MOST_REPLICAS, REPLICATED, Deployment, Servers
from infra.dev.processes import NotStartedError, down, up
from infra.dev.stores import SERVERS, NoServerError, find_servers, release_servers


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("up", "down"))
    parser.add_argument("--folder", type=Path, default=Path("out/up"), help="logs, process ids, state")
    parser.add_argument("--name", default="medq-up", help="of database, bucket and topics")
    parser.add_argument("--port", type=int, default=FIRST_PORT, help="of the controller")
    parser.add_argument("--wipe", action="store_true", help="with down: drop the data too")
    for service in REPLICATED:
        parser.add_argument(f"--{service}", type=int, default=1, help=f"replicas, 1..{MOST_REPLICAS}")
    for server in SERVERS:
        parser.add_argument(f"--{server}", default="", help="endpoint; empty: one that is started here")
    arguments = parser.parse_args()
    if not all(1 <= getattr(arguments, service) <= MOST_REPLICAS for service in REPLICATED):
        parser.error(f"1 to {MOST_REPLICAS} replicas")
    return arguments


def main() -> int:
    """Run the command.

    Returns: Exit code: 1 where something did not start.
    """
    arguments = _arguments()
    folder: Path = arguments.folder
    given = {server: getattr(arguments, server) for server in SERVERS}
    replicas = {service: getattr(arguments, service) for service in REPLICATED}

    def deployment(servers: Servers) -> Deployment:
        return Deployment(folder, arguments.name, servers, arguments.port, replicas)

    if arguments.verb == "down":
        down(folder, deployment(find_servers(folder, given)) if arguments.wipe else None)
        release_servers(folder)
        _say(f"Stopped. Logs: {folder}")
        return 0
    try:
        wanted = deployment(find_servers(folder, given))
        up(wanted)
    except (NotStartedError, NoServerError) as error:
        _say(str(error))
        return 1
    _say(
        f"Six services at work; the controller is {wanted.controller}. Logs: {folder}\n"
        f"Next: .venv/bin/medq demo --out out/on-servers --server {wanted.controller}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
