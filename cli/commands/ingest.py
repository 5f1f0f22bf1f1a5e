"""`medq ingest`: bring images in, and see what could not be read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from msgspec import to_builtins

from cli.access import Access
from cli.connection import connect
from cli.fingerprint import fingerprint
from cli.follow import download, finish
from cli.options import Json, Out
from cli.output import PARTIAL, console, print_json, print_table, shown_errors
from medq.embedding.v1 import embedding_pb2, embedding_pb2_grpc
from shared.left_out import is_lost, outcome_of
from shared.rows.encoding import from_lines
from shared.rows.images import ZERO_SHOT, Image, Input, who_told_modality

_SHOWN = 20  # refused inputs


def ingest(
    source: Annotated[
        Path, typer.Argument(exists=True, help="A folder, or a CSV, TSV or Parquet with `image_path` or `image`.")
    ],
    out: Out,
    *,
    split: Annotated[str, typer.Option(help="pool, dev, test or replay.")] = "pool",
    modality: Annotated[str, typer.Option(help="Modality where neither file nor manifest tells one.")] = "",
    encoder: Annotated[str, typer.Option(help="What embeds them: a name of the site's settings, or statistics.")] = "",
    access: Access,
    is_json: Json = False,
) -> None:
    """Decode, de-identify, hash, store and embed images; a file that cannot be read is one row of the report."""
    place = str(source.resolve())
    operation_id = f"ingest/{fingerprint(source, also=f'{split} {modality} {encoder}'.rstrip())}"
    with shown_errors(is_json), connect(out, access) as channels:
        request = embedding_pb2.StartIngestRequest(
            operation_id=operation_id, source_uri=place, split=split, default_modality=modality, encoder=encoder
        )
        embedding_pb2_grpc.EmbeddingServiceStub(channels["embedding"]).StartIngest(request)
        done = finish(channels["embedding"], operation_id, f"ingest {source.name}", is_quiet=is_json)
        download(channels["embedding"], done.result_uri, out / "ingest", ["report.jsonl", "images.jsonl"])
    if _show(out / "ingest", done.result_uri, is_json):
        raise typer.Exit(PARTIAL)


def _show(folder: Path, image_set_uri: str, is_json: bool) -> bool:
    """Show what became of the inputs, and who told the modality of the images; whether any input was refused."""
    report = folder / "report.jsonl"
    counts: Counter[str] = Counter()
    refused: list[Input] = []  # all of them for a program, a screen for people
    with report.open("rb") as lines, (folder / "images.jsonl").open("rb") as images:
        for row in from_lines(lines, Input, report.name):
            counts[outcome_of(row)] += 1
            if is_lost(row) and (is_json or len(refused) < _SHOWN):
                refused.append(row)
        told = who_told_modality(from_lines(images, Image, "images.jsonl"))
    counts += told
    if is_json:
        print_json({"counts": counts, "image_set_uri": image_set_uri, "refused": to_builtins(refused)})
    else:
        console.print(", ".join(f"{count} {name}" for name, count in sorted(counts.items())))
        if refused:
            cells = [(row.name, row.status, row.reason, row.remedy) for row in refused]
            print_table("Not taken", ("file", "status", "reason", "remedy"), cells)
        if n_guessed := told[f"modality_{ZERO_SHOT}"]:
            console.print(f"The encoder guessed the modality of {n_guessed} images (modality_from in images.jsonl).")
        console.print(f"All rows: {report}")
        console.print(f"Image set: {image_set_uri}")
    return bool(refused)
