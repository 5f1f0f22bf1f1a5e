"""The results file of a seed and a block: what the arms did on test, and nothing that is measured in time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from shared.errors import AlreadyExists, DataLoss
from shared.regular_files import open_regular
from shared.synced import put_in_place

_MOST_BYTES = 64 << 20
SCHEMA = 1


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whatever stands in a results file."""


class Accuracy(Row, frozen=True):
    """Right of all evaluated answers to the questions with options of test.

    Attributes:
        n: Answers.
        unscored: Answers that could not be evaluated, in no figure.
        overall: Over all.
        known: Over cells that the base model was taught well, and clean images.
        weak: Over cells of which it saw little.
        left_out: Over cells that it never saw.
        pool_mix: Post-stratified to the mix of the pool: see `studies.experiment.estimates.post_stratified`.
        pool_mix_covered: Share of the pool's images in strata that test has.
        by: Axis and value to accuracy.
    """

    n: int
    unscored: int
    overall: float | None
    known: float | None
    weak: float | None
    left_out: float | None
    pool_mix: float | None
    pool_mix_covered: float
    by: dict[str, dict[str, float]]


class OnReal(Row, frozen=True):
    """What a model answered about the few real images: that it runs on them, no more.

    Attributes:
        accuracy: Right of all evaluated answers to questions with options.
        n: Answers.
        unscored: Answers that could not be evaluated.
        n_sources: Sources of the images, each of one patient.
    """

    accuracy: float | None
    n: int
    unscored: int
    n_sources: int


class Draw(Row, frozen=True):
    """What was drawn and labelled for a training.

    Attributes:
        n_images, n_left_out: Images drawn, and those of left-out cells.
        n_labels, n_wrong, n_expert: Adopted labels of questions with options; those that differ from the truth; those that the
            expert saw.
        images: Digest of the ids of the drawn images.
    """

    n_images: int
    n_left_out: int
    n_labels: int
    n_wrong: int
    n_expert: int
    images: str


class Shortfall(Row, frozen=True):
    """What the draws of an arm gave, over all of its rounds, where they gave less than they were asked for.

    Attributes:
        n_images, n_asked: Images drawn, and those that were to be.
    """

    n_images: int
    n_asked: int


class ArmRound(Row, frozen=True):
    """An arm after some trainings.

    Attributes:
        pool, mix, enrichment: Its pool; the pool whose mix `pool_mix` has; share of left-out images in test over that in `pool`.
        multiple, budget: Its budget in budgets of the tested strategy, and in images a round.
        steps: Optimiser steps of a training.
        round: Trainings so far; 0 is the base model.
        stop_reason: Why the arm ended, in all of its rounds.
        draw: What its last training was made from; None before the first.
        shortfall: Images that the arm lacked, in all of its rounds; None where it lacked none.
        real: Accuracy on the real images, which stands alone; None where they were not answered.
    """

    seed: int
    block: str
    pool: str
    mix: str
    enrichment: float
    arm: str
    strategy: str
    against: str
    multiple: float
    budget: int
    steps: int
    round: int
    stop_reason: str
    accuracy: Accuracy
    draw: Draw | None
    shortfall: Shortfall | None = None
    real: OnReal | None = None


class Results(Row, frozen=True):
    """One file.

    Attributes:
        settings: Digest of the settings.
        commit: Of the repository that ran it; "" outside one, with `+` where files differed from it.
        protocol: SHA-256 of docs/protocol.md, the first 16 digits; "" where it is not there.
        guessing: Accuracy on test of whoever guesses.
        losses: What was lost on the way, a line each.
    """

    schema: int
    seed: int
    block: str
    settings: str
    commit: str
    protocol: str
    guessing: float
    rows: tuple[ArmRound, ...]
    losses: tuple[str, ...] = ()


def path_of(out: Path, seed: int, block: str) -> Path:
    """Where the results of a seed and a block lie."""
    return out / "results" / f"seed-{seed:05d}.{block}.json"


def write_results(out: Path, results: Results) -> None:
    """Write them; they appear whole."""
    path = path_of(out, results.seed, results.block)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(results, order="sorted"), indent=1) + b"\n")
    put_in_place(partial, path)


def read_results(out: Path, blocks: Sequence[str], settings: str) -> list[Results]:
    """All results of some blocks, by block and seed.

    Args:
        out: The folder of the experiment.
        blocks: Whose results are wanted, in this order.
        settings: Digest that they all must have.

    Raises:
        DataLoss: A file is not what was written.
        AlreadyExists: A file has other settings.
    """
    paths = [path for block in blocks for path in sorted((out / "results").glob(f"seed-*.{block}.json"))]
    return [_read(path, settings) for path in paths]


def _read(path: Path, settings: str) -> Results:
    try:
        with open_regular(path, _MOST_BYTES, "results") as stream:
            found = msgspec.json.decode(stream.read(), type=Results)
    except msgspec.MsgspecError:
        remedy = "Remove it; the same command makes it again."
        raise DataLoss("The file holds no results.", field="results", value=path.name, remedy=remedy) from None
    if found.schema != SCHEMA or found.settings != settings:
        remedy = "Choose another folder: results of different settings are not put together."
        raise AlreadyExists("The folder has results of other settings.", field="out", value=path.name, remedy=remedy)
    return found
