"""One block of one seed of an experiment, run through the services of a folder exactly as `medq run` does."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc

from cli.access import Access
from cli.commands.run import fetch_report, read_report, start_run
from cli.connection import connect
from cli.follow import download, run_of, run_title
from cli.left_out import loss_lines, losses_of
from shared.rows.annotation import Decision, KnownAnswer
from shared.rows.encoding import RowT, from_lines
from shared.rows.evaluation import Answer
from shared.rows.selection import Sample
from shared.rpc.operations import await_operation
from studies.experiment.blocks import BLOCKS, Run
from studies.experiment.material import prepare
from studies.experiment.provenance import commit, protocol
from studies.experiment.results import SCHEMA, ArmRound, Results
from studies.experiment.rows_of_runs import Made, rows_of
from studies.experiment.run_files import run_id_of, write_experiment_run
from studies.experiment.settings import Settings

Json = dict[str, Any]
#: Told what is being done, how many optimiser steps of the block are behind it, and how many of these an earlier call did.
Tell = Callable[[str, int, int], None]


def run_block(out: Path, block: str, seed: int, settings: Settings, tell: Tell) -> Results:
    """Run a block of a seed, or go on with it where an interrupted call left it.

    Args:
        out: The folder of the seed: its study, the services' state, its runs.
        block: Name of the block.
        seed: The seed.
        settings: What all seeds share.
        tell: Told how far it is.

    Raises:
        MedqError: The material could not be made, or a run failed.
        grpc.RpcError: A service refused.
    """
    version = commit(), protocol()
    material = prepare(
        out / "study", seed, settings, lambda title, done, total, unit: tell(f"{title}, {done} of {total} {unit}", 0, 0)
    )
    rows: list[ArmRound] = []
    losses: list[str] = []
    done, found, guessing = 0, 0, 0.0
    with connect(out, Access(server="")) as channels:
        for run in BLOCKS[block]:
            run_id, folder = run_id_of(block, run), out / "runs" / run_id_of(block, run)
            config = write_experiment_run(material, block, run, seed, settings)
            start_run(channels["controller"], config, run_id, is_quiet=True)
            found = _follow(channels["controller"], run_id, run, settings, done, found, tell)
            fetch_report(channels["controller"], run_id, folder)
            report = read_report(folder / "report.json")
            facts = _answers(folder), *_made(channels["controller"], report)
            rows += rows_of(seed, block, run, settings, material, report, *facts)
            losses += _losses(report)
            guessing = report["test_set"]["guessing"]
            done += run.work(settings)
    return Results(SCHEMA, seed, block, settings.digest, *version, guessing, tuple(rows), tuple(losses))


def _follow(
    controller: grpc.Channel, run_id: str, run: Run, settings: Settings, before: int, found: int, tell: Tell
) -> int:
    """Wait until a run has ended, and tell about every second how far it is.

    Args:
        controller: A channel to it.
        run_id: The run.
        run: Of the block.
        settings: Its sizes.
        before: Optimiser steps of the block's runs before it.
        found: Those of them that an earlier call did.
        tell: Told how far it is.

    Returns: What `found` is behind this run.
    """
    of_a_round = run.work(settings) // settings.rounds

    def done() -> tuple[str, int]:
        at = run_of(controller, run_id)
        return run_title(at), at.round * of_a_round  # arms go side by side, so all have ended the rounds before

    found += done()[1]

    def look() -> bool:
        title, behind = done()
        tell(f"{run.pool}: {title}", before + behind, found)
        return False

    await_operation(controller, run_id, is_cancelled=look, wait_seconds=1.0)
    return found


def _made(controller: grpc.Channel, report: Json) -> tuple[dict[tuple[str, int], Made], list[KnownAnswer]]:
    """What each round of each arm drew and labelled, and what the simulated oracle and expert know of it."""
    uris = {(step["arm"], step["round"], step["step"]): step["uri"] for step in report["measured"]["steps"]}
    made = {
        (arm, number): Made(
            list(_rows(controller, uris[arm, number, "select_samples"], "samples.jsonl", Sample)),
            list(_rows(controller, uri, "decisions.jsonl", Decision)),
        )
        for (arm, number, step), uri in uris.items()
        if step == "annotate"
    }
    known = next(uri for (_, _, step), uri in uris.items() if step == "import_known_answers")
    drawn = {row.image_id for one in made.values() for row in one.samples}
    return made, [row for row in _rows(controller, known, "answers.jsonl", KnownAnswer) if row.image_id in drawn]


def _rows(controller: grpc.Channel, uri: str, name: str, kind: type[RowT]) -> Iterator[RowT]:
    """The rows of one file of a dataset."""
    with tempfile.TemporaryDirectory(prefix="medq-") as folder:
        (path,) = download(controller, uri, Path(folder), [name])
        with path.open("rb") as lines:
            yield from from_lines(lines, kind, name)


def _answers(folder: Path) -> list[Answer]:
    with (folder / "answers.jsonl").open("rb") as lines:
        return list(from_lines(lines, Answer, "answers.jsonl"))


def _losses(report: Json) -> Iterator[str]:
    """What a run lost, a line each."""
    losses = losses_of(report)
    return loss_lines({**losses, "entries": [entry for entry in losses["entries"] if entry["is_loss"]]})
