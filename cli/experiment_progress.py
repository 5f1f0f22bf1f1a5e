"""How far an experiment is, and how long it will take: bars on a terminal, a line for each ended seed elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from cli.experiment_seeds import Seed
from cli.output import console
from shared.pages.words import duration, percent


class ExperimentProgress:
    """Shows the work of all seeds and blocks; its time left is that which the work of this call took, for what is left.

    Args:
        total: Optimiser steps of all that is to be run.
        is_quiet: Show nothing.
        clock: Seconds, from any moment on.
    """

    def __init__(self, total: int, is_quiet: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._is_quiet = is_quiet
        self._behind = 0  # of the blocks that have ended
        self._found = 0  # done by earlier calls, of the seeds that have ended
        self._clock, self._begun = clock, clock()
        self._tasks: dict[int, TaskID] = {}
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        self._bars = Progress(*columns, console=console, transient=True, disable=is_quiet or not console.is_terminal)
        self._all = self._bars.add_task("all seeds", total=total or None, note="")

    @contextmanager
    def shown(self) -> Iterator[ExperimentProgress]:
        """Show while the context lasts."""
        with self._bars:
            yield self

    def watch(self, block: str, n_seeds: int, work: int) -> Callable[[Sequence[Seed], Sequence[Seed]], None]:
        """What is to be called with the seeds at work on a block, and with those that have just ended.

        Args:
            block: Its name.
            n_seeds: Seeds that run it.
            work: Optimiser steps of one of them.
        """
        n_ended, before = 0, self._behind
        self._behind += n_seeds * work
        if n_seeds:
            self._say(f"{block}: {n_seeds} seed{'s' if n_seeds > 1 else ''} to run.")

        def look(at_work: Sequence[Seed], ended: Sequence[Seed]) -> None:
            nonlocal n_ended
            n_ended += len(ended)
            self._found += sum(seed.found for seed in ended)
            done = before + n_ended * work + sum(seed.done for seed in at_work)
            left = self.left(done, self._found + sum(seed.found for seed in at_work))
            for seed in at_work:
                self._show(seed, block, work)
            for seed in ended:
                if seed.number in self._tasks:
                    self._bars.remove_task(self._tasks.pop(seed.number))
                how = f"failed ({seed.reason})" if seed.reason else "done"
                self._say(f"{block}, seed {seed.number}: {how}. {n_ended} of {n_seeds} seeds. {left}".rstrip())
            self._bars.update(self._all, completed=done, note=left)

        return look

    def _show(self, seed: Seed, block: str, work: int) -> None:
        if seed.number not in self._tasks:
            self._tasks[seed.number] = self._bars.add_task("", total=work, note="")
        name = f"seed {seed.number}, {block}"
        self._bars.update(self._tasks[seed.number], description=name, completed=seed.done, note=seed.title)

    def _say(self, line: str) -> None:
        if not self._is_quiet:
            console.print(line, soft_wrap=True)

    def left(self, done: int, found: int = 0) -> str:
        """How much is done of the training steps, and how long the rest will take; "" at the end.

        Args:
            done: Optimiser steps that are done.
            found: Those of them that earlier calls did: they took none of the time of this one.
        """
        if not done:
            return "Making images and base models."
        if done >= self._total:
            return ""
        told = f"{percent(done / self._total)} of the training steps are done"
        if done <= found:
            return f"{told}."
        seconds = (self._clock() - self._begun) / (done - found) * (self._total - done)
        return f"{told}, about {duration(seconds)} left."
