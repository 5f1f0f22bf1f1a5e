"""`medq dev-set`: a development set where there is none yet: images are drawn, experts fill in a table, and it is read back."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import typer

from cli.access import Access, with_access
from cli.connection import connect
from cli.dev_questions import OF_IMAGE, BadRow, Cells, template_rows
from cli.dev_set_files import REVIEW_CSV, REVIEW_JSON, TABLE, read_questions, write_dev, write_questions, write_table
from cli.dev_set_images import Taken, take_in
from cli.dev_sets import Candidate, draw, left_out
from cli.new_folders import new_folder
from cli.options import Json
from cli.output import PARTIAL, console, print_json, print_table, shown_errors
from medq.oracle.v1 import oracle_pb2, oracle_pb2_grpc
from shared.errors import FailedPrecondition, InvalidArgument
from shared.regular_files import open_regular

app = typer.Typer(name="dev-set", help="A development set where there is none yet.", no_args_is_help=True)
MARK, POOL, DEV = "dev-set.json", "pool.tsv", "dev.tsv"
_MOST_SHOWN = 20
_MOST_IMAGE_BYTES = 1 << 30
_POOL_COLUMNS = ("image_path", *OF_IMAGE)
Seed = Annotated[int, typer.Option(min=0, help="Seed of what is drawn by chance.")]


def build(
    images: Annotated[
        Path, typer.Option("--images", exists=True, help="A folder of images, or a manifest (CSV, TSV).")
    ],
    out: Annotated[
        Path, typer.Option("--out", help="The new folder: the images, the table to fill in, the pool's manifest.")
    ],
    *,
    n: Annotated[int, typer.Option("--n", min=1, max=100_000, help="Images to draw.")] = 200,
    seed: Seed = 0,
    modality: Annotated[str, typer.Option(help="Modality where neither file nor manifest tells one.")] = "",
    is_by_folder: Annotated[
        bool, typer.Option("--patient-folders", help="The first sub-folder that an image lies in is its patient.")
    ] = False,
    pool_manifest: Annotated[
        Path | None,
        typer.Option(help="Where the pool's manifest goes, in or above the folder of images; else pool.tsv in --out."),
    ] = None,
    access: Access,
    is_json: Json = False,
) -> None:
    """Draw images, alike for each modality and then each source, and write what experts are asked about them.

    No patient, session or source of a drawn image stays in the pool's manifest.
    """
    with shown_errors(is_json):
        base = _base_of(images, pool_manifest)
        with new_folder(out, MARK, is_replacing=False) as folder:
            with connect(folder / "work", access) as channels:
                taken = take_in(channels, images, modality, is_by_folder=is_by_folder, is_quiet=is_json)
                stub = oracle_pb2_grpc.OracleServiceStub(channels["oracle"])
                bank = stub.GetQuestionBank(oracle_pb2.GetQuestionBankRequest())
            shutil.rmtree(folder / "work", ignore_errors=True)
            drawn = draw(taken.candidates, n, seed)
            away = left_out(taken.everything, drawn)
            write_questions(folder, list(_asked(folder, drawn, taken, bank, seed)))
            kept = [one for one in taken.everything if one.image_id not in away]
            write_table(folder / POOL, _POOL_COLUMNS, (_pool_row(one, taken, base) for one in kept))
            summary = _summary(drawn, kept, taken, seed)
            (folder / MARK).write_text(_as_text(summary), encoding="utf-8")
        if pool_manifest is not None:
            shutil.copyfile(out / POOL, pool_manifest)
    if is_json:
        print_json({**summary, "out": str(out)})
    else:
        _show_built(summary, out, pool_manifest, base)
    if summary["left_out"]:
        raise typer.Exit(PARTIAL)


def read(
    table: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="What experts have filled in: questions.tsv or .csv, or Label Studio's JSON export.",
        ),
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", dir_okay=False, help="Where the questions go; else dev.tsv beside the table."),
    ] = None,
    seed: Seed = 0,
    is_replacing: Annotated[bool, typer.Option("--force", help="Replace an earlier one.")] = False,
    is_json: Json = False,
) -> None:
    """Check a filled table and write the development set that `medq run` takes; each row that is no question is named."""
    target = out or table.with_name(DEV)
    with shown_errors(is_json):
        if os.path.lexists(target) and not is_replacing:
            raise FailedPrecondition(
                "Something lies there already.", field="out", value=target, remedy="Name another file, or give --force."
            )
        good, bad = read_questions(table, target.parent, seed)
        if not good:
            raise InvalidArgument(
                "No row of the table is a question.",
                field="table",
                value=table.name,
                remedy=f"Fill in the column answer, or description: {_counted(bad)}.",
            )
        write_dev(target, good)
    summary = {"questions": len(good), "out": str(target), "left_out": [vars(row) for row in bad]}
    if is_json:
        print_json(summary)
    else:
        _show_read(len(good), bad, target)
    if bad:
        raise typer.Exit(PARTIAL)


app.command()(with_access(build))
app.command()(read)


def _base_of(images: Path, pool_manifest: Path | None) -> Path:
    """The folder that paths of the pool's manifest start from.

    Raises:
        InvalidArgument: The manifest is to lie where it cannot name the images, or over something.
    """
    folder = Path(os.path.realpath(images if images.is_dir() else images.parent))
    if pool_manifest is None:
        return folder
    base = Path(os.path.realpath(pool_manifest.parent))
    if not folder.is_relative_to(base) or not base.is_dir():
        remedy = "Name a file in the folder of the images, or in a folder above it."
        message = "A manifest names only what lies below its own folder."
        raise InvalidArgument(message, field="pool_manifest", value=pool_manifest, remedy=remedy)
    if os.path.lexists(pool_manifest):
        remedy = "Name a new file."
        raise InvalidArgument(
            "Something lies there already.", field="pool_manifest", value=pool_manifest, remedy=remedy
        )
    return base


def _asked(
    folder: Path, drawn: Sequence[Candidate], taken: Taken, bank: oracle_pb2.GetQuestionBankResponse, seed: int
) -> Iterator[Cells]:
    """The rows of the table; the files of the drawn images are copied beside it under names that say nothing."""
    (folder / "images").mkdir()
    for number, one in enumerate(drawn, 1):
        name = f"images/{number:04}-{one.image_id[:12]}{PurePosixPath(one.path).suffix.lower()}"
        place = taken.folder / one.path
        with open_regular(place, _MOST_IMAGE_BYTES, "images") as source, (folder / name).open("xb") as target:
            shutil.copyfileobj(source, target)
        yield from template_rows({**taken.of_image(one), "image_path": name}, number, bank, seed)


def _pool_row(one: Candidate, taken: Taken, base: Path) -> dict[str, str]:
    path = (taken.folder / one.path).relative_to(base).as_posix()
    return {**taken.of_image(one), "image_path": path}


def _summary(drawn: Sequence[Candidate], kept: Sequence[Candidate], taken: Taken, seed: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "images": len(drawn),
        "by_modality": dict(sorted(Counter(one.modality for one in drawn).items())),
        "sources": len({one.patient or one.source_id for one in drawn}),
        "without_patient": sum(not one.patient for one in drawn),
        "pool": len(kept),
        "kept_from_pool": len(taken.everything) - len(kept) - len(drawn),
        "left_out": dict(sorted(taken.left_out.items())),
        "dev_images": {one.image_id: one.path for one in drawn},
    }


def _as_text(summary: Mapping[str, Any]) -> str:
    return json.dumps(summary, indent=1, sort_keys=True) + "\n"


def _counted(bad: Iterable[BadRow]) -> str:
    counts = Counter(row.reason for row in bad)
    return "; ".join(f"{n} {reason}" for reason, n in sorted(counts.items())) or "it has no rows"


def _show_built(summary: Mapping[str, Any], out: Path, pool_manifest: Path | None, base: Path) -> None:
    shares = ", ".join(f"{name} {n}" for name, n in summary["by_modality"].items())
    console.print(f"{summary['images']} images of {summary['sources']} sources: {shares}.", soft_wrap=True)
    if summary["without_patient"]:
        told = "Give patient_id in a manifest, or --patient-folders, so that no patient is in dev and pool."
        console.print(f"Of {summary['without_patient']} of them no patient is known. {told}", soft_wrap=True)
    for reason, count in summary["left_out"].items():
        console.print(f"Left out: {count} images ({reason}).", soft_wrap=True)
    told = f"To fill in: {out / TABLE}, the columns answer and description; then `medq dev-set read` it."
    console.print(f"{told} Or as review tasks: {REVIEW_CSV}, {REVIEW_JSON} for Label Studio.", soft_wrap=True)
    where = f"{pool_manifest}" if pool_manifest else f"{out / POOL}: put it into {base}"
    kept = f"{summary['pool']} images; {summary['kept_from_pool']} share a patient, session or source with dev"
    console.print(f"The pool without them: {where} ({kept}).", soft_wrap=True)


def _show_read(n: int, bad: Sequence[BadRow], target: Path) -> None:
    console.print(f"{n} questions: {target}", soft_wrap=True)
    if bad:
        print_table("No questions", ("row", "why"), [(row.name, row.reason) for row in bad[:_MOST_SHOWN]])
        console.print(f"{len(bad)} rows in all: {_counted(bad)}.", soft_wrap=True)
