"""The cluster test as a program: `make cluster-test`, or `python -m infra.cluster_test [--keep] [--no-build]`.

Prints each step with its seconds, then a table; the exit code is 1 if a step failed. It stops what it started, also on Ctrl-C.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from infra.cluster_test.identities import Identities
from infra.cluster_test.in_pod import RUN
from infra.cluster_test.machine import CommandFailed, Machine
from infra.cluster_test.pages import Pages
from infra.cluster_test.release import HASH_KEY, NAMESPACE, Release
from shared.settings import SERVICES

#: The whole of it is bounded.
MINUTES = 60
#: Where in a run the pods of which service are deleted: when it is at work, or about to be. A step whose answers are known from
#: the runs before is over before it is told; then the next that is told serves, and of round 1 any.
STEP_OF = {
    "round 0: ingest pool": "embedding",
    "round 0: evaluate dev": "evaluation",
    "round 0: evaluate test": "retrieval",
    "round 0: annotate": "oracle",
    "round 0: train": "training",
    "round 1: ": "controller",
}


class Steps:
    """Prints steps as they go, and a table at the end."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, float, str]] = []

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """One step; what it puts into the list is shown beside its time. A failed one does not end the test by itself."""
        notes: list[str] = []
        start, result = time.monotonic(), "failed"
        _say(f"--- {name}")
        try:
            yield notes
            result = "ok"
        finally:
            seconds = time.monotonic() - start
            self.rows.append((name, result, seconds, "; ".join(notes)))
            _say(f"    {result}, {seconds:.0f} s {'; '.join(notes)}")

    def show(self) -> None:
        """The table."""
        width = max((len(row[0]) for row in self.rows), default=0)
        _say("")
        for name, result, seconds, notes in self.rows:
            _say(f"{name:<{width}}  {result:<6}  {seconds:6.0f} s  {notes}".rstrip())
        _say(f"{'':<{width}}          {sum(row[2] for row in self.rows):6.0f} s")


def main() -> None:
    """Run the test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave node, servers and release as they are at the end")
    parser.add_argument("--no-build", action="store_true", help="the images are built and in the node already")
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, _stop)
    signal.alarm(MINUTES * 60)
    home = Path(os.environ.get("MEDQ_DEV_HOME") or Path.home() / ".cache" / "medq-dev") / "cluster-test"
    steps, machine = Steps(), Machine(home)
    try:
        with ExitStack() as cleanup:
            _set_up(steps, machine, cleanup, is_kept=arguments.keep, is_built=arguments.no_build)
            identities = Identities(machine.home, NAMESPACE)
            cleanup.enter_context(identities.issuing())
            release = Release(machine, identities)
            if machine.was_node_up and not arguments.keep:
                cleanup.callback(_end, steps, "remove the namespace", release.remove)
            try:
                _try_release(steps, machine, release, Pages(release, identities))
            except CommandFailed:
                _say(release.look())
                raise
    except (CommandFailed, Stopped) as error:
        _say(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        _say("Interrupted.")
    steps.show()
    sys.exit(any(result != "ok" for _, result, _, _ in steps.rows))


def _set_up(steps: Steps, machine: Machine, cleanup: ExitStack, *, is_kept: bool, is_built: bool) -> None:
    """Servers, node, images. What is started is stopped when the stack closes."""

    def later(name: str, function: Callable[[], None]) -> None:
        if not is_kept:
            cleanup.callback(_end, steps, name, function)

    machine.home.mkdir(parents=True, exist_ok=True)
    later("remove the test's folder", lambda: shutil.rmtree(machine.home))
    with steps.step("Kafka, S3, PostgreSQL"):
        later("stop Kafka, S3, PostgreSQL", machine.stop_servers)
        machine.start_servers()
    if not is_built:
        with steps.step("build the images"):
            machine.build_images()
    with steps.step("start the node"):
        later("stop the node", machine.stop_node)
        machine.start_node()
    with steps.step("start the ingress controller"):
        machine.start_ingress()
    if not is_built:
        with steps.step("load the images"):
            machine.load_images()
    machine.make_volumes()


def _try_release(steps: Steps, machine: Machine, release: Release, pages: Pages) -> None:
    """Try the manifests, install, test, upgrade, delete pods, uninstall."""
    with steps.step("every manifest before the API server, training Jobs on the node") as notes:
        notes.append(machine.run_node_tests())
    with steps.step('namespace with PodSecurity "restricted"'):
        release.make_namespace()
    with steps.step("helm install, all pods ready"):
        release.install()
    with steps.step("helm test: a study of two rounds") as notes:
        calm = release.test()
        notes += [f"{len(release.jobs())} training Jobs", _told(calm)]
    with steps.step("the same run embedded: same figures") as notes:
        notes.append(_compared(calm, _embedded(machine)))
    with steps.step("pages behind the ingress: doors, roles, the run, two pods") as notes:
        notes += [pages.try_doors(), pages.try_pods()]
        pages.try_run(RUN)
        pages.try_grpc()
    with steps.step("a run is followed on its page, the pods of the pages deleted: same figures") as notes:
        follow = {"round 0: ": lambda: pages.follow("followed", notes)}
        notes.append(_compared(calm, release.run("followed", follow)))
    with steps.step("helm upgrade during a run: same figures") as notes:
        # At the first step that is told: what the runs before have answered is over in a moment, and the migration comes first.
        upgrade = {"round 0: ": lambda: release.upgrade(logLevel="DEBUG")}
        notes += _disturb(release, calm, "upgraded", upgrade)
    with steps.step("delete each service's pod during a run: same figures") as notes:
        deletions = {step: functools.partial(release.delete_pods_of, name) for step, name in STEP_OF.items()}
        notes += _disturb(release, calm, "deleted", deletions)
    with steps.step("helm uninstall") as notes:
        left = Counter(name.split("/")[0] for name in release.uninstall())
        notes.append("left, as said: " + ", ".join(f"{count} {kind}" for kind, count in sorted(left.items())))


def _disturb(
    release: Release, calm: dict[str, Any], run_id: str, disturbances: Mapping[str, Callable[[], None]]
) -> list[str]:
    """A run during which every pod is replaced.

    Raises:
        CommandFailed: Its report differs, or a pod stayed.
    """
    before = release.pods(*SERVICES)
    told = _compared(calm, release.run(run_id, disturbances))
    release.wait_ready()
    after = {pod["metadata"]["uid"] for pod in release.pods(*SERVICES)}
    if stayed := sorted(pod["metadata"]["name"] for pod in before if pod["metadata"]["uid"] in after):
        raise CommandFailed(f"Not replaced: {', '.join(stayed)}")
    return [f"{len(after)} pods replaced", told]


def _embedded(machine: Machine) -> dict[str, Any]:
    """The report of the same study, as the pods wrote it, run by this checkout in one process."""
    study, out = machine.volumes / "data" / "tiny", machine.home / "embedded"
    shutil.rmtree(out, ignore_errors=True)
    machine.environment["MEDQ_EMBEDDING_HASH_KEY"] = HASH_KEY
    config = study / "run.yaml"
    command = (sys.executable, "-m", "cli.main", "run", "--config", config, "--out", out)
    machine.call(*command, seconds=600)
    report: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return report


def _compared(calm: dict[str, Any], other: dict[str, Any]) -> str:
    """Hold two reports against each other, but for what was measured (seconds, costs of the machine).

    Raises:
        CommandFailed: They differ.
    """
    differences = list(_differences("", {**calm, "measured": {}}, {**other, "measured": {}}))
    if differences:
        raise CommandFailed("The report differs: " + "; ".join(differences[:5]))
    return _told(other)


def _differences(path: str, one: Any, other: Any) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            yield from _differences(f"{path}.{key}", one.get(key), other.get(key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _differences(f"{path}[{index}]", left, right)
    elif one != other:
        yield f"{path}: {one!r} and {other!r}"[:300]


def _told(report: dict[str, Any]) -> str:
    told = []
    for name, arm in sorted(report["arms"].items()):
        overall = [entry["test"]["perception"]["overall"]["value"] for entry in arm["rounds"] if entry.get("test")]
        told.append(f"{name} " + ", ".join(f"{value:.3f}" for value in overall))
    return "test accuracy by round: " + "; ".join(told)


class Stopped(Exception):
    """The test was told to stop, or its time is over."""


def _stop(number: int, _: FrameType | None) -> None:
    over = f"its {MINUTES} minutes are over"
    raise Stopped(over if number == signal.SIGALRM else "it was told to stop")


def _end(steps: Steps, name: str, function: Callable[[], None]) -> None:
    """One step of the end; a failure of one leaves the others to be done."""
    try:
        with steps.step(name):
            function()
    except CommandFailed as error:
        _say(str(error))


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command's output


if __name__ == "__main__":
    main()
