"""`make faults`: runs of the tiny study on real servers, each harmed in another way, held against one that nobody disturbed."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np

from tests.faults.cases import Calm, Make, all_cases, small_disk
from tests.faults.run import run_watched
from tests.faults.verdict import Calm as CalmRun
from tests.faults.verdict import Verdict, judge
from tests.faults.world import Backends, World
from tests.support.finished_run import ask
from tests.support.tiny_study import write_tiny_study

_HEAD = (
    f"{'case':<24} {'seconds':>8} {'harms':>6} {'repeats':>8} {'survived':>9} {'lost':>5} {'doubled':>8} {'unknown':>8}"
)


def main() -> int:
    """Run the cases, print the table; 1 where a case did not survive."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="medq-faults-") as name, small_disk(Path(name) / "disk") as is_small:
        folder = Path(name)
        (folder / "disk" / "s3").mkdir()
        cases = all_cases(folder / "disk" / "s3", is_small)
        if not is_small:
            _print("full_store is left out: it needs the right to mount a small file system")
        unknown = sorted(set(arguments.cases) - cases.keys())
        if unknown:
            _print(f"no such case: {', '.join(unknown)}; there are {', '.join(cases)}")
            return 2
        chosen = {name: make for name, make in cases.items() if not arguments.cases or name in arguments.cases}
        _print("the study and the base model ...")
        (folder / "study").mkdir()
        write_tiny_study(folder / "study")
        backends = Backends(folder / "servers", folder / "disk" / "s3")
        try:
            return _run_all(arguments, chosen, backends, folder)
        finally:
            backends.close()


def _run_all(arguments: argparse.Namespace, cases: dict[str, Make], backends: Backends, folder: Path) -> int:
    _print("the run that nobody disturbs ...")
    calm = _one("calm", Calm, arguments, backends, folder, None)
    if not isinstance(calm, CalmRun):
        _print(str(calm.problems))
        return 1
    _print(_HEAD)
    verdicts = []
    for name, make in cases.items():
        verdict = _one(name, make, arguments, backends, folder, calm)
        if isinstance(verdict, Verdict):
            verdicts.append(verdict)
            _print(_line(verdict))
    survived = sum(not verdict.problems for verdict in verdicts)
    lost, doubled = (sum(getattr(verdict, part) for verdict in verdicts) for part in ("n_lost", "n_doubled"))
    _print(f"cases {len(verdicts)}, survived {survived}, lost {lost}, doubled {doubled} (seed {arguments.seed})")
    return 0 if survived == len(verdicts) else 1


def _one(
    name: str, make: Make, arguments: argparse.Namespace, backends: Backends, folder: Path, calm: CalmRun | None
) -> Verdict | CalmRun:
    began = time.monotonic()
    try:
        world = World(backends, folder / "worlds" / name, name)
        try:
            rng = np.random.default_rng([arguments.seed, *name.encode()])
            harm = make(world, rng, arguments.cut_seconds)
            config = folder / "study" / "run.yaml"
            run = run_watched(world, config, folder / "out" / name, harm.at_step)
            for wire in backends.wires.values():
                wire.release()
            (folder / "worlds" / name / "medq.log").write_text("\n".join(run.failures), encoding="utf-8")
            seconds = time.monotonic() - began
            if run.code != 0:
                return Verdict(name, seconds, harm.n, len(run.failures), run.failures)
            left = ask(world.channels)
            if calm is None:
                return CalmRun(run, left)
            return judge(name, seconds, harm.n, world.n_kills, run, left, calm)
        finally:
            world.close()
    except Exception:  # one case that breaks does not take the others along
        return Verdict(name, time.monotonic() - began, 0, 0, (traceback.format_exc(limit=-3),))
    finally:
        if arguments.keep:
            # What the services and the command said, for whoever wants to know why.
            _keep(folder / "worlds" / name, Path(arguments.keep) / name)


def _keep(logs: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for log in logs.glob("*.log"):
        (target / log.name).write_bytes(log.read_bytes())


def _line(verdict: Verdict) -> str:
    survived = "no" if verdict.problems else "yes"
    line = (
        f"{verdict.case:<24} {verdict.seconds:8.1f} {verdict.n_harms:6} {verdict.n_repeats:8} {survived:>9} "
        f"{verdict.n_lost:5} {verdict.n_doubled:8} {verdict.n_unknown:8}"
    )
    return "\n    ".join([line, *verdict.problems])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("cases", nargs="*", help="names of cases; all where none is given")
    parser.add_argument("--seed", type=int, default=0, help="decides at which steps and moments harm is done")
    parser.add_argument("--cut-seconds", type=float, default=60.0, help="how long a wire stands still")
    parser.add_argument("--keep", default="", help="a folder for the logs of the services")
    return parser.parse_args()


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
