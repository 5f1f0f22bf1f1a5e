"""`make fuzz`: hostile requests to the six services, and broken files to what reads them; the table says what was wrong.

Every case is decided by the seed and its number, so `--only request:1234` or `--only file:1234` repeats one of them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from services.migrate import migrate
from shared.logs import configure_logs
from tests.fuzz.file_round import Files, read_files
from tests.fuzz.findings import Finding
from tests.fuzz.limits import MIB
from tests.fuzz.request_round import Requests, send_requests
from tests.fuzz.services import running_services
from tests.fuzz.world import make_world
from tests.support.databases import postgres_installation
from tests.support.real_servers import run_servers

DATABASES = ("sqlite", "postgresql")
_SHOW_EVERY = 100
#: Findings of one kind that are printed one by one.
_SHOWN_OF_A_KIND = 3


def main() -> int:
    """Run the rounds, print the table; 1 where anything was found."""
    arguments = _arguments()
    files, requests = _chosen(arguments)
    findings: list[Finding] = []
    if files:
        read = read_files(arguments.seed, files, _progress("files", len(files)))
        findings += read.findings
        _print(_files_table(read))
        _tell(read.findings, arguments.seed, "")
    for database in arguments.database if requests else ():
        sent = run_requests(arguments.seed, requests, database, _progress(f"requests on {database}", len(requests)))
        findings += sent.findings
        _print(_requests_table(sent, database))
        _tell(sent.findings, arguments.seed, database)
    _print(f"seed {arguments.seed}: {'nothing was found' if not findings else f'{len(findings)} findings'}")
    return 1 if findings else 0


def run_requests(
    seed: int,
    numbers: Iterable[int],
    database: str,
    show: Callable[[int], None],
    left_out: frozenset[str] = frozenset(),
) -> Requests:
    """Start the services on a new world and send them the cases, but for those of the methods that are left out."""
    with tempfile.TemporaryDirectory(prefix="mq-fuzz-", ignore_cleanup_errors=True) as name, _url_of(database) as url:
        world = make_world(Path(name) / "world")
        with running_services(world, url) as services:
            return send_requests(services, world, seed, numbers, show, left_out)


@contextmanager
def _url_of(database: str) -> Iterator[str]:
    """The URL of a database of our own with all tables; "" for files."""
    if database == "sqlite":
        yield ""
        return
    known = os.environ.get("MEDQ_TEST_POSTGRES", "")
    if not known:
        started = run_servers("up", "postgres")
        started.check_returncode()
        known = started.stdout.strip().split("=", 1)[1]
    with postgres_installation(known) as url:
        configure_logs("ERROR")
        migrate(url)
        yield url


def _chosen(arguments: argparse.Namespace) -> tuple[Sequence[int], Sequence[int]]:
    """The numbers of files and of requests."""
    if not arguments.only:
        return range(arguments.files), range(arguments.requests)
    kind, _, number = arguments.only.partition(":")
    return ([int(number)], []) if kind == "file" else ([], [int(number)])


def _files_table(read: Files) -> str:
    kinds = sorted({kind for kind, _ in read.outcomes})
    outcomes = ("accepted", "quarantined", "refused", "raised", "died")
    lines = [f"{'file':<12}" + "".join(f"{outcome:>13}" for outcome in outcomes)]
    lines += [f"{kind:<12}" + "".join(f"{read.outcomes[kind, outcome]:13}" for outcome in outcomes) for kind in kinds]
    lines += [f"{read.seconds:.0f} s; the slowest took {read.slowest:.1f} s, the largest {read.largest // MIB} MiB"]
    return "\n".join(lines)


def _requests_table(sent: Requests, database: str) -> str:
    lines = [f"{status:<22}{n:8}" for status, n in sorted(sent.outcomes.items())]
    lines += [f"{name:<22}{figure:>20}" for name, figure in sent.figures.items()]
    lines += [f"{len(sent.started)} operations began; {sent.seconds:.0f} s, the slowest call took {sent.slowest:.1f} s"]
    return "\n".join([f"requests on {database}", *lines])


def _tell(findings: Sequence[Finding], seed: int, database: str) -> None:
    """Print findings, a few of each kind."""
    shown: Counter[str] = Counter()
    for finding in findings:
        key = finding.alike
        shown[key] += 1
        if shown[key] <= _SHOWN_OF_A_KIND:
            _print(finding.line(seed, database))
    for key, n in shown.items():
        if n > _SHOWN_OF_A_KIND:
            _print(f"{n - _SHOWN_OF_A_KIND} more: {key}")


def _progress(what: str, total: int) -> Callable[[int], None]:
    def show(done: int) -> None:
        if done % _SHOW_EVERY == 0 or done == total:
            sys.stderr.write(f"\r{what}: {done} of {total}" + ("\n" if done == total else ""))
            sys.stderr.flush()

    return show


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000, help="how many requests, on each database")
    parser.add_argument("--files", type=int, default=20_000, help="how many files")
    parser.add_argument("--seed", type=int, default=0, help="decides, with its number, what a case is")
    parser.add_argument("--database", nargs="+", choices=DATABASES, default=list(DATABASES), help="default: both")
    parser.add_argument("--only", default="", help="one case: request:1234 or file:1234")
    return parser.parse_args()


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
