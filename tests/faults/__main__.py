"""`make faults`: runs of the tiny study on real servers, each harmed in another way, held against one that nobody disturbed."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.faults.cases import ON_QDRANT, Calm, Case, all_cases, small_disk
from tests.faults.random_kills import kill_at_random
from tests.faults.run import run_watched
from tests.faults.verdict import Calm as CalmRun
from tests.faults.verdict import Done, Verdict, judge
from tests.faults.world import Backends, Setting, World, is_qdrant_here
from tests.support.finished_run import ask
from tests.support.tiny_study import write_config, write_tiny_study

_HEAD = (
    f"{'case':<26} {'seconds':>8} {'harms':>6} {'repeats':>8} {'survived':>9} {'lost':>5} {'doubled':>8} {'unknown':>8}"
)


def main() -> int:
    """Run the cases, print the table; 1 where a case did not survive."""
    arguments = _arguments()
    # Told to end, it stops its servers and unmounts its disk as it does at an interrupt.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="medq-faults-") as name:
        folder = Path(name)
        if arguments.kills:
            keep = Path(arguments.keep) if arguments.keep else None
            return kill_at_random(arguments.kills, arguments.seed, arguments.parallel, folder, _print, keep)
        with small_disk(folder / "disk") as is_small:
            return _run_cases(arguments, folder, is_small)


def _run_cases(arguments: argparse.Namespace, folder: Path, is_small: bool) -> int:
    (folder / "disk" / "s3").mkdir()
    has_qdrant = is_qdrant_here()
    cases = all_cases(folder / "disk" / "s3", is_small, has_qdrant)
    if not is_small:
        _print("full_store is left out: it needs the right to mount a small file system")
    if not has_qdrant:
        _print("restart_qdrant_ingest and restart_qdrant_selection are left out: there is no Qdrant here")
    unknown = sorted(set(arguments.cases) - cases.keys())
    if unknown:
        _print(f"no such case: {', '.join(unknown)}; there are {', '.join(cases)}")
        return 2
    chosen = {name: case for name, case in cases.items() if not arguments.cases or name in arguments.cases}
    _print("the study and the base model ...")
    (folder / "study").mkdir()
    write_tiny_study(folder / "study")
    write_config(folder / "study" / ON_QDRANT.config, model="base-model/model", arms=[ON_QDRANT.arm])
    backends = Backends(folder / "servers", folder / "disk" / "s3", has_qdrant)
    try:
        return _run_all(arguments, chosen, backends, folder)
    finally:
        backends.close()


def _run_all(arguments: argparse.Namespace, cases: dict[str, Case], backends: Backends, folder: Path) -> int:
    calm: dict[Setting, CalmRun] = {}
    # Calls that take time change nothing that is left, so their run is held against one whose calls take none.
    for setting in {_calm(case.setting): None for case in cases.values()}:
        _print(f"the run of {setting.config} that nobody disturbs ...")
        found = _one(f"calm_{setting.arm}", Case(Calm, setting), arguments, backends, folder, None)
        if not isinstance(found, CalmRun):
            _print(str(found.problems))
            return 1
        calm[setting] = found
    _print(_HEAD)
    verdicts = []
    for name, case in cases.items():
        verdict = _one(name, case, arguments, backends, folder, calm[_calm(case.setting)])
        if isinstance(verdict, Verdict):
            verdicts.append(verdict)
            _print(_line(verdict))
    survived = sum(not verdict.problems for verdict in verdicts)
    lost, doubled = (sum(getattr(verdict, part) for verdict in verdicts) for part in ("n_lost", "n_doubled"))
    _print(f"cases {len(verdicts)}, survived {survived}, lost {lost}, doubled {doubled} (seed {arguments.seed})")
    return 0 if survived == len(verdicts) else 1


def _calm(setting: Setting) -> Setting:
    return replace(setting, call_seconds=0.0)


def _one(
    name: str, case: Case, arguments: argparse.Namespace, backends: Backends, folder: Path, calm: CalmRun | None
) -> Verdict | CalmRun:
    began = time.monotonic()
    try:
        world = World(backends, folder / "worlds" / name, name, case.setting)
        try:
            rng = np.random.default_rng([arguments.seed, *name.encode()])
            harm = case.make(world, rng, arguments.cut_seconds)
            config = folder / "study" / case.setting.config
            run = run_watched(world, config, folder / "out" / name, harm.at_step)
            for wire in backends.wires.values():
                wire.release()
            (folder / "worlds" / name / "medq.log").write_text("\n".join(run.failures), encoding="utf-8")
            seconds = time.monotonic() - began
            if run.code != 0:
                return Verdict(name, seconds, harm.n, len(run.failures), run.failures)
            left = ask(world.channels, arm=case.setting.arm)
            if calm is None:
                return CalmRun(run, left)
            return judge(name, seconds, Done(harm.n, world.n_kills, harm.least_unknown), run, left, calm)
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
        f"{verdict.case:<26} {verdict.seconds:8.1f} {verdict.n_harms:6} {verdict.n_repeats:8} {survived:>9} "
        f"{verdict.n_lost:5} {verdict.n_doubled:8} {verdict.n_unknown:8}"
    )
    return "\n    ".join([line, *verdict.problems])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("cases", nargs="*", help="names of cases; all where none is given")
    parser.add_argument("--seed", type=int, default=0, help="decides at which steps and moments harm is done")
    parser.add_argument("--cut-seconds", type=float, default=60.0, help="how long a wire stands still")
    parser.add_argument("--kills", type=int, default=0, help="kill the embedded form so often at random, and no cases")
    parser.add_argument("--parallel", type=int, default=2, help="runs that are killed at the same time")
    parser.add_argument("--keep", default="", help="a folder for the logs of the services")
    return parser.parse_args()


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
