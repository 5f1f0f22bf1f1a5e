"""The seeds of an experiment in processes of their own: started, watched, ended with this one."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType

import grpc

from shared.errors import MedqError
from shared.parent_process import die_with_parent
from shared.status import typed
from studies.experiment.settings import Settings

#: How long a seed may take to end when it is interrupted, before it is killed; it goes on from what is durable all the same.
_SECONDS_TO_END = 60.0
#: In the folder of a seed: what its processes would write to a terminal.
_LOG = "seed.log"


@dataclass
class Seed:
    """A seed at work on a block.

    Attributes:
        number: Which.
        title: What it is doing.
        done: Optimiser steps of the block behind it.
        found: Those among them that an earlier call had done.
        reason, message, remedy: Why it failed and what can be done; "" where it has not.
    """

    number: int
    title: str = "starting"
    done: int = 0
    found: int = 0
    reason: str = ""
    message: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class _Worker:
    seed: Seed
    process: SpawnProcess
    pipe: Connection
    log: Path
    core: int

    def hear(self) -> bool:
        """Take in what it tells; False when it has ended."""
        try:
            while self.pipe.poll():
                for name, value in self.pipe.recv().items():
                    setattr(self.seed, name, value)
        except EOFError:
            self.process.join()
            if self.process.exitcode and not self.seed.reason:
                self.seed.reason = f"process ended with code {self.process.exitcode}"
                self.seed.message = f"What it wrote stands in {self.log}."
            return False
        return True


def run_seeds(
    out: Path,
    block: str,
    seeds: Sequence[int],
    settings: Settings,
    n_jobs: int,
    on_change: Callable[[Sequence[Seed], Sequence[Seed]], None],
) -> list[Seed]:
    """Run a block of several seeds, at most some at a time; one that fails leaves the others alone.

    Args:
        out: The folder of the experiment.
        block: Name of the block.
        seeds: Those without results.
        settings: What they share.
        n_jobs: At most so many at a time.
        on_change: Called about every second with the seeds at work, and with those that have just ended.

    Returns: All seeds, in the order in which they ended.
    """
    waiting, ended = list(seeds), list[Seed]()
    at_work: list[_Worker] = []
    try:
        while waiting or at_work:
            while waiting and len(at_work) < n_jobs:
                at_work.append(_start(out, block, waiting.pop(0), settings, _free_core(at_work)))
            wait([worker.pipe for worker in at_work], timeout=1.0)
            still = [worker for worker in at_work if worker.hear()]
            just_ended = [worker.seed for worker in at_work if worker not in still]
            at_work, ended = still, [*ended, *just_ended]
            on_change([worker.seed for worker in at_work], just_ended)
    finally:
        _end(worker.process for worker in at_work)
    return ended


def _free_core(at_work: Sequence[_Worker]) -> int:
    """The core with the fewest seeds: services take as many operations at once as their process may use cores."""
    taken = [worker.core for worker in at_work]
    return min(sorted(os.sched_getaffinity(0)), key=taken.count)


def _start(out: Path, block: str, number: int, settings: Settings, core: int) -> _Worker:
    folder = out / "seeds" / f"{number:05d}"
    folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")  # threads of services and of torch do not survive a fork
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(out, folder, block, number, settings, theirs, os.getpid(), core))
    process.start()
    theirs.close()
    return _Worker(Seed(number), process, ours, folder / _LOG, core)


def _end(processes: Iterable[SpawnProcess]) -> None:
    """Have processes end: asked first, killed if they do not."""
    ending = list(processes)
    for process in ending:
        process.terminate()
    for process in ending:
        process.join(_SECONDS_TO_END)
        process.kill()


def _work(
    out: Path, folder: Path, block: str, number: int, settings: Settings, pipe: Connection, parent: int, core: int
) -> None:
    """What the process of a seed does, on its core. The parent is who hears Ctrl-C, and says when to end."""
    die_with_parent(parent)
    os.sched_setaffinity(0, {core})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    with (folder / _LOG).open("a", encoding="utf-8") as log:
        for stream in (1, 2):  # the terminal is the parent's
            os.dup2(log.fileno(), stream)
    from cli.experiment_block import run_block
    from studies.experiment.results import write_results

    def tell(title: str, done: int, found: int) -> None:
        pipe.send({"title": title, "done": done, "found": found})

    try:
        write_results(out, run_block(folder, block, number, settings, tell))
    except KeyboardInterrupt:
        pipe.send({"reason": "interrupted"})
    except (MedqError, grpc.RpcError) as error:
        known = typed(error)
        pipe.send({"reason": known.reason, "message": known.message, "remedy": known.remedy})
    finally:
        pipe.close()


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    """End by the way of Ctrl-C, so that the services drain; once."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt
