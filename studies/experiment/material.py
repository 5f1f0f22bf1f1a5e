"""What a seed of an experiment is run on: a study folder with its pools and base model, and what is known about them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from studies.base_model import BaseTraining, one_per_image, pretrain_base, read_rows
from studies.experiment.settings import Settings
from studies.folder import write_rows, write_study
from studies.plan import Cell, Pool, StudyPlan, draw_cells
from studies.real_slice import write_real_slice

Stratum = tuple[str, str, str]
"""A modality, a degradation and its severity; images without degradation have `none` for both."""
OnProgress = Callable[[str, int, int, str], None]
"""Called with what is being done, how much of it is done, how much there is, and the unit."""


@dataclass(frozen=True)
class Material:
    """A study folder that is complete.

    Attributes:
        folder: Holds the tables, one manifest a pool, and the images.
        model: The base model.
        left_out: Cells that it never saw.
        weak: Cells of which it saw little.
        n_dev_images: Images of dev.
    """

    folder: Path
    model: Path
    left_out: frozenset[Cell]
    weak: frozenset[Cell]
    n_dev_images: int


def prepare(folder: Path, seed: int, settings: Settings, on_progress: OnProgress) -> Material:
    """Make a seed's images and base model; what is there already stays.

    Args:
        folder: Where to.
        seed: Draws the left-out cells, the phantoms and the base model.
        settings: Sizes.
        on_progress: Told how far it is.
    """
    drawing, training = "drawing phantoms", "training the base model"
    plan = plan_of(seed, settings)
    write_study(folder, plan, lambda done, total: on_progress(drawing, done, total, "images"))
    write_real_slice(folder, settings.size)
    model = pretrain_base(
        folder,
        folder / "base-model",
        BaseTraining(epochs=settings.base_epochs, batch_size=settings.batch_size, seed=seed, answer_form="open"),
        lambda done, total: on_progress(training, done, total, "steps"),
    )
    return Material(folder, model, plan.left_out, plan.weak, len(one_per_image(read_rows(folder / "dev.tsv"))))


def plan_of(seed: int, settings: Settings) -> StudyPlan:
    """The plan of a seed: its own left-out and weak cells, and every pool."""
    left_out, weak = draw_cells(seed)
    plan = StudyPlan(
        n_base=settings.n_base,
        n_pool=settings.n_pool,
        n_dev=settings.n_dev,
        n_test=settings.n_test,
        n_replay=settings.n_replay,
        size=settings.size,
        seed=seed,
        left_out=left_out,
        weak=weak,
    )
    uniform = plan.n_left_out("test") / plan.n_test
    rare, size = uniform / settings.enrichment, settings.n_other_pool
    shares = {"10": 0.1, "30": 0.3, "uniform": uniform}
    others = {name: Pool(size, share) for name, share in shares.items()} | {"ideal": Pool(round(0.3 * size), 1.0)}
    pools = {"3": Pool(settings.n_pool, rare), **others}
    return replace(plan, rare_ratio=rare, other_pools=tuple(pools.items()))


def write_answers(folder: Path, pool: str, table: str) -> str:
    """Write what a table knows about the images of one pool beside its manifest; it lies there with those of all pools.

    Returns: The name of the file.
    """
    members = {row["image_path"] for row in iterate_rows(folder / f"{pool}.tsv")}
    name = f"{pool}_{table}"
    known = (row for row in iterate_rows(folder / table) if row["image_path"] in members)
    write_rows(folder / name, ({key: row[key] for key in row if key != "index"} for row in known))
    return name


def strata_of(table: Path, members: Path | None = None) -> Counter[Stratum]:
    """How many images there are in each stratum.

    Args:
        table: Says what images show.
        members: The table of those that count; None: all.
    """
    counted = None if members is None else {row["image_path"] for row in iterate_rows(members)}
    strata = {
        row["image_path"]: (row["modality"], row["attribute"], row["severity"])
        for row in iterate_rows(table)
        if counted is None or row["image_path"] in counted
    }
    return Counter(strata.values())


def iterate_rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a study's TSV, one at a time: that of a pool's answers may have hundreds of thousands."""
    with path.open(encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream, delimiter="\t")
