"""`make faults KILLS=300`: runs of the embedded form that are killed at random moments, until one process comes to the end."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from shared.settings import SERVICES
from tests.faults.run import Run
from tests.faults.verdict import Calm, Done, Verdict, judge
from tests.support.finished_run import remembered
from tests.support.killing import KILLED
from tests.support.medq_processes import Ended, pool_of_processes, run_medq, run_medq_until
from tests.support.tiny_study import write_config, write_tiny_study

_CALL_SECONDS = 0.1
_N_ROUNDS = 1  # it has each step; a second one has them again
_SURVIVE_SECONDS = 30.0
_START = "(start of a process)"
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "MEDQ_ORACLE_SIMULATED_CALL_SECONDS": str(_CALL_SECONDS),  # so that some kills meet calls in flight
}


@dataclass(frozen=True)
class Chain:
    """Processes on one folder, killed one after the other, and the one that came to the end.

    Attributes:
        kills: At which step each was killed.
        verdict: What was left, held against the undisturbed run.
    """

    kills: tuple[str, ...]
    verdict: Verdict


@dataclass
class RandomKills:
    """Kills of `medq run` on the tiny study.

    Moments are uniform in time over the length of an undisturbed run, counted from the start of each process. Every second
    kill, by chance, hits the command alone and not what it started.

    Args:
        config: The study's YAML.
        folder: For the runs.
        pool: Starts the processes.
        calm: The undisturbed run.
        seconds: How long that took.
        seed: Of the moments.
        show: Prints a line.
        keep: Where the folder of a run that differs is kept; None for nowhere.
    """

    config: Path
    folder: Path
    pool: ProcessPoolExecutor
    calm: Calm
    seconds: float
    seed: int
    show: Callable[[str], None]
    keep: Path | None
    chains: list[Chain] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def kill(self, lane: int, n_kills: int) -> None:
        """Kill so often, in one run after the other."""
        rng = np.random.default_rng([self.seed, lane])
        left, number = n_kills, 0
        while left > 0 and not self.is_over.is_set():
            chain = self._chain(f"{lane}-{number}", rng, left)
            left -= len(chain.kills)
            number += 1
            if not chain.kills and not chain.verdict.problems:
                continue  # it ended before its moment, which shows nothing
            with self._lock:
                self.chains.append(chain)
                self._tell(chain)
            if chain.verdict.problems:
                if self.keep:
                    shutil.copytree(self.folder / chain.verdict.case, self.keep / chain.verdict.case, symlinks=True)
                return

    def _chain(self, name: str, rng: np.random.Generator, most: int) -> Chain:
        began = time.monotonic()
        out = self.folder / name
        kills: list[str] = []
        processes: list[int] = []
        n_before = 0
        while (ended := self._process(out, rng, is_killed=len(kills) < most)).code == KILLED:
            processes.append(ended.process)
            kills.append(self._step(out, n_before))
            n_before = _n_serving(out)
        seconds = time.monotonic() - began
        if ended.code != 0:
            problem = f"after {len(kills)} kills exit {ended.code}: {ended.err.strip()[-2000:]}"
            return Chain(tuple(kills), Verdict(name, seconds, len(kills), 1, (problem,)))
        survivors = _survivors(processes)
        if survivors:
            problem = f"outlived a kill: {survivors}"
            return Chain(tuple(kills), Verdict(name, seconds, len(kills), 0, (problem,)))
        done, left = Done(max(1, len(kills)), len(kills)), remembered(out, self.pool, _N_ROUNDS)
        verdict = judge(name, seconds, done, Run(out, 0, ()), left, self.calm)
        if not verdict.problems:
            shutil.rmtree(out)
        return Chain(tuple(kills), verdict)

    def _process(self, out: Path, rng: np.random.Generator, *, is_killed: bool) -> Ended:
        command = ("run", "--config", self.config, "--out", out)
        if not is_killed:
            return self.pool.submit(run_medq, *command).result()
        moment, is_alone = float(rng.uniform(0, self.seconds)), bool(rng.random() < 0.5)
        return self.pool.submit(run_medq_until, moment, is_alone, *command).result()

    def _step(self, out: Path, n_before: int) -> str:
        """Where the run stood when the process was killed; `n_before` services had begun to serve before that process."""
        if _n_serving(out) - n_before < len(SERVICES):
            return _START
        asked = self.pool.submit(run_medq, "status", "--out", out, "--json").result()
        runs = json.loads(asked.out)["runs"]
        return str(runs[0]["step"]) or _START if runs else _START

    def _tell(self, chain: Chain) -> None:
        n = sum(len(one.kills) for one in self.chains)
        verdict = chain.verdict
        found = "; ".join(verdict.problems) or f"equal, unknown {verdict.n_unknown}"
        self.show(f"{n:5} kills | run {verdict.case}: {len(chain.kills)} ({', '.join(chain.kills)}): {found}")


def kill_at_random(
    n_kills: int, seed: int, n_lanes: int, folder: Path, show: Callable[[str], None], keep: Path | None
) -> int:
    """Kill so often; print where, and what was left; 1 where a run differs from the undisturbed one.

    Args:
        n_kills: At least 1.
        n_lanes: Runs that are killed at the same time, each with its share of the kills.
        seed, folder, show, keep: See `RandomKills`; the folder is for the study and all runs.
    """
    os.environ.update(_ENVIRONMENT)
    with pool_of_processes(n_lanes) as pool:
        show("the study and the base model ...")
        pool.submit(write_tiny_study, folder / "study").result()
        config = write_config(folder / "study" / "one_round.yaml", rounds=_N_ROUNDS)
        show("the run that nobody disturbs ...")
        began = time.monotonic()
        ended = pool.submit(run_medq, "run", "--config", config, "--out", folder / "calm").result()
        seconds = time.monotonic() - began
        if ended.code != 0:
            show(ended.err)
            return 1
        calm = Calm(Run(folder / "calm", 0, ()), remembered(folder / "calm", pool, _N_ROUNDS))
        show(f"it took {seconds:.1f} s; {n_kills} kills in {n_lanes} runs at a time, seed {seed} ...")
        kills = RandomKills(config, folder, pool, calm, seconds, seed, show, keep)
        shares = [len(range(lane, n_kills, n_lanes)) for lane in range(n_lanes)]
        with ThreadPoolExecutor(n_lanes) as lanes:
            try:
                list(lanes.map(kills.kill, range(n_lanes), shares))
            finally:
                kills.is_over.set()
    for line in summary(kills.chains):
        show(line)
    return 0 if is_passed(kills.chains, n_kills) else 1


def is_passed(chains: Sequence[Chain], n_kills: int) -> bool:
    """Whether there were so many kills, and every run came to the same end."""
    return sum(len(chain.kills) for chain in chains) >= n_kills and not any(chain.verdict.problems for chain in chains)


def summary(chains: Sequence[Chain]) -> list[str]:
    """The table of kills by step, and the sums."""
    steps = Counter(step for chain in chains for step in chain.kills)
    verdicts = [chain.verdict for chain in chains]
    n_equal = sum(not verdict.problems for verdict in verdicts)
    lost, doubled, unknown = (sum(getattr(v, f"n_{what}") for v in verdicts) for what in ("lost", "doubled", "unknown"))
    ended = f"runs that ended {len(chains)}, equal {n_equal}"
    return [
        "kills  at step",
        *(f"{n:5}  {step}" for step, n in steps.most_common()),
        f"kills {steps.total()}, {ended}, lost {lost}, doubled {doubled}, unknown {unknown}",
    ]


def _n_serving(out: Path) -> int:
    """How often a service has begun to serve a folder."""
    log = out / "medq.log"
    return log.read_text(encoding="utf-8", errors="replace").count('"event": "serving"') if log.exists() else 0


def _survivors(sessions: Sequence[int]) -> list[int]:
    """Processes that killed commands started and that are still alive after a while; each command led a session of its own."""
    until = time.monotonic() + _SURVIVE_SECONDS
    while (alive := alive_of(set(sessions))) and time.monotonic() < until:
        threading.Event().wait(0.2)
    return alive


def alive_of(sessions: set[int]) -> list[int]:
    """Process ids of what lives in these sessions; a zombie has ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            state, _, _, session = stat.read_text(errors="replace").rpartition(")")[2].split()[:4]
            if int(session) in sessions and state != "Z":
                found.append(int(stat.parent.name))
    return found
