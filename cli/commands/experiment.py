"""`medq experiment`: many arms over many seeds, run by the product itself, with a table and a page of what came out."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cli.experiment_progress import ExperimentProgress
from cli.experiment_seeds import Seed, run_seeds
from cli.experiment_tables import show_summary
from cli.options import Json, one_of
from cli.output import FAILED, console, print_json, shown_errors
from shared.errors import InvalidArgument
from studies.experiment.blocks import BLOCKS, EXPERIMENTS
from studies.experiment.results import path_of, read_results
from studies.experiment.settings import FULL, REPORTED, TINY, Settings

_MOST_SEEDS = 1000
#: Seeds of phantoms lie in ranges that a seed of a study multiplies.
_LARGEST_SEED = 99_999


def experiment(
    name: Annotated[str, typer.Argument(metavar="NAME", parser=one_of(EXPERIMENTS), help=", ".join(EXPERIMENTS))],
    out: Annotated[Path, typer.Option("--out", file_okay=False, help="Folder of the experiment; the same goes on.")],
    seeds: Annotated[
        str, typer.Option(help="Which seeds: numbers and ranges, such as 3,10-17.")
    ] = f"{REPORTED[0]}-{REPORTED[-1]}",
    jobs: Annotated[
        int, typer.Option(min=0, help="Seeds at a time, one core each; 0: as many as the command may use.")
    ] = 0,
    blocks: Annotated[
        str, typer.Option(help="Run these blocks alone, such as primary,controls; else all of the experiment.")
    ] = "",
    is_tiny: Annotated[
        bool, typer.Option("--tiny", help="For trying the command: a few images and steps; the figures mean nothing.")
    ] = False,
    is_table: Annotated[
        bool, typer.Option("--table", help="Run nothing: make table and page from the results that are there.")
    ] = False,
    is_json: Json = False,
) -> None:
    """Reproduce one of the paper's questions in miniature: NAME is sample-efficiency, ablation or scaling.

    Each seed makes phantoms and a base model of its own. Then the product runs, as `medq run` does, with many arms. Phantoms,
    oracle and expert are simulated; models, trainings and scores are real.

    HOW LONG: hours. A seed takes one core: about half an hour for its images, its base model and the reading of its pool, then
    six minutes for an arm of three trainings (measured on two cores of an AMD EPYC, two seeds at a time). sample-efficiency
    has 36 arms in four blocks, 8 of them in the first, the primary comparison. All seeds end a block before any begins the
    next. From the first training on the command tells the time left. Try it with --tiny first: minutes, and figures that
    mean nothing.

    WHAT IS WRITTEN: in OUT/results a JSON a seed and block; OUT/experiment.json and OUT/experiment.html with the table and
    the figures; in OUT/seeds the study, the services' state, each run's
    own report.html and seed.log.

    TO GO ON after Ctrl-C, a kill or a failure: type the same command. Blocks with results are not run again, and a run goes on
    where it was. --table makes the table anew from the results and runs nothing.

    The exit code is 1 where a seed failed; the reasons are counted.
    """
    with shown_errors(is_json):
        wanted, numbers = _blocks_of(name, blocks), seeds_of(seeds)
        settings = TINY if is_tiny else FULL
        read_results(out, EXPERIMENTS[name], settings.digest)  # refuses those of other settings before hours of work
        failed = [] if is_table else _run(out, wanted, numbers, settings, jobs or len(os.sched_getaffinity(0)), is_json)
        from studies.experiment.page import write_page
        from studies.experiment.summary import summarise, write_summary

        summary = summarise(name, read_results(out, EXPERIMENTS[name], settings.digest), settings)
        write_summary(out, summary)
        write_page(out, summary)
        if is_json:
            print_json(summary)
        else:
            show_summary(summary, out)
        _tell_failed(failed)


def _run(
    out: Path, blocks: Sequence[str], seeds: Sequence[int], settings: Settings, n_jobs: int, is_quiet: bool
) -> list[Seed]:
    """Run what has no results yet, and give the seeds that failed; each block waits for all seeds of the one before."""
    missing = missing_of(out, blocks, seeds)
    work = {block: sum(run.work(settings) for run in BLOCKS[block]) for block in blocks}
    failed: list[Seed] = []
    total = sum(work[block] * len(missing[block]) for block in blocks)
    with ExperimentProgress(total, is_quiet).shown() as progress:
        for block in blocks:
            without = [seed for seed in missing[block] if seed not in {one.number for one in failed}]
            watch = progress.watch(block, len(without), work[block])
            failed += [seed for seed in run_seeds(out, block, without, settings, n_jobs, watch) if seed.reason]
    return failed


def missing_of(out: Path, blocks: Sequence[str], seeds: Sequence[int]) -> dict[str, list[int]]:
    """Blocks to the seeds that have no results of them."""
    return {block: [seed for seed in seeds if not path_of(out, seed, block).exists()] for block in blocks}


def _blocks_of(name: str, text: str) -> list[str]:
    """The blocks that were asked for, in the order of the experiment."""
    asked = [part.strip() for part in text.split(",")] if text else EXPERIMENTS[name]
    unknown = sorted(set(asked) - set(EXPERIMENTS[name]))
    if unknown:
        remedy = f"{name} has {', '.join(EXPERIMENTS[name])}."
        raise InvalidArgument("The experiment has no such block.", field="blocks", value=unknown[0], remedy=remedy)
    return [block for block in EXPERIMENTS[name] if block in asked]


def seeds_of(text: str) -> list[int]:
    """The numbers of `3,10-17`, each once and in order."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not re.fullmatch("[0-9]{1,6}(-[0-9]{1,6})?", part.strip()):
            remedy = "Name numbers and ranges, such as 3,10-17."
            raise InvalidArgument("These are no seeds.", field="seeds", value=part.strip(), remedy=remedy)
        numbers = range(int(first), int(last or first) + 1)
        if not numbers or len(numbers) > _MOST_SEEDS or numbers[-1] > _LARGEST_SEED:
            remedy = f"A range goes upwards, has at most {_MOST_SEEDS} seeds, and none above {_LARGEST_SEED}."
            raise InvalidArgument("These are no seeds.", field="seeds", value=part.strip(), remedy=remedy)
        found.update(numbers)
    return sorted(found)


def _tell_failed(failed: Sequence[Seed]) -> None:
    """Say which seeds failed and how many for which reason; then end with a code that says so."""
    if not failed:
        return
    for seed in failed:
        console.print(f"Seed {seed.number} failed: {seed.reason}. {seed.message}".rstrip(), soft_wrap=True)
        if seed.remedy:
            console.print(f"  {seed.remedy}", soft_wrap=True)
    reasons = ", ".join(f"{reason}: {n}" for reason, n in Counter(seed.reason for seed in failed).most_common())
    n, seeds = len(failed), "seed" if len(failed) == 1 else "seeds"
    console.print(f"{n} {seeds} failed ({reasons}). The same command tries them again.", soft_wrap=True)
    raise typer.Exit(FAILED)
