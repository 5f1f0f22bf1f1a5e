"""The images that a development set is drawn from: taken in by the embedding service, which says what each one is."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from cli.dev_questions import OF_IMAGE
from cli.dev_sets import Candidate
from cli.fingerprint import fingerprint
from cli.follow import download, finish
from medq.embedding.v1 import embedding_pb2, embedding_pb2_grpc
from shared.errors import FailedPrecondition, InvalidArgument
from shared.left_out import is_lost
from shared.rows.encoding import from_lines
from shared.rows.images import Image, Input, part_of, spelled_out
from shared.rows.vocabulary import UNKNOWN
from shared.rpc.channels import Channels
from shared.tables import read_rows

_TABLES = (".csv", ".tsv")
_IN_TABLE = "the manifest holds its pixels, so there is no file to copy"
_SEVERAL = "its file holds several images"


@dataclass(frozen=True)
class Taken:
    """What was taken in.

    Attributes:
        folder: The paths of the candidates start here.
        everything: Every stored image that has a file.
        candidates: Those of them that a set can be drawn from.
        carried: Path to the columns that a manifest has of it.
        left_out: Images that cannot be drawn, by reason.
    """

    folder: Path
    everything: list[Candidate]
    candidates: list[Candidate]
    carried: dict[str, dict[str, str]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    def of_image(self, one: Candidate) -> dict[str, str]:
        """The columns of an image in a table: what its manifest says of it, and its modality as it was taken in."""
        own = {name: self.carried.get(one.path, {}).get(name, "") for name in OF_IMAGE}
        return own | {"modality": "" if one.modality == UNKNOWN else one.modality}


def take_in(channels: Channels, images: Path, modality: str, *, is_by_folder: bool, is_quiet: bool) -> Taken:
    """Take images in and list them.

    Args:
        channels: To the services.
        images: A folder, or a manifest.
        modality: Where nothing else tells one.
        is_by_folder: The first sub-folder of an image is its patient.
        is_quiet: Show no progress.

    Raises:
        InvalidArgument: It is a manifest whose columns cannot be carried, or has folders as patients although it names them.
        FailedPrecondition: No image could be taken in.
    """
    if is_by_folder and not images.is_dir():
        remedy = "Give the manifest a column patient_id."
        raise InvalidArgument(
            "Only folders have sub-folders.", field="patient_folders", value=images.name, remedy=remedy
        )
    carried = {} if images.is_dir() else _carried(images)
    folder = Path(os.path.realpath(images if images.is_dir() else images.parent))
    rows, inputs = _ingest(channels, images, modality, is_quiet)
    if is_by_folder:
        patients = {row.image_path: PurePosixPath(row.image_path).parts[:-1][:1] for row in inputs}
        carried = {path: {"patient_id": parts[0]} for path, parts in patients.items() if parts}
    taken = Taken(folder, [], [], carried)
    files = Counter(row.image_path for row in inputs if row.image_id)
    for row in inputs:
        if is_lost(row):
            taken.left_out[row.reason.rstrip(".")] += 1
        elif row.status == "stored":
            _sort_in(taken, row, rows[row.image_id], files[row.image_path])
    if not taken.candidates:
        remedy = "`medq ingest` on the same images says what is wrong with each."
        raise FailedPrecondition("There is no image to draw.", field="images", value=images.name, remedy=remedy)
    return taken


def _sort_in(taken: Taken, row: Input, image: Image, n_of_file: int) -> None:
    if not row.image_path:
        taken.left_out[_IN_TABLE] += 1
        return
    one = Candidate(
        image.image_id,
        row.image_path,
        image.modality,
        image.source_id,
        taken.carried.get(row.image_path, {}).get("patient_id", "") or image.patient,
        image.session,
    )
    taken.everything.append(one)
    if n_of_file == 1 and not part_of(row.name) and not part_of(spelled_out(row.image_path)):
        taken.candidates.append(one)
    else:
        taken.left_out[_SEVERAL] += 1


def _ingest(channels: Channels, source: Path, modality: str, is_quiet: bool) -> tuple[dict[str, Image], list[Input]]:
    operation_id = f"dev-set/{fingerprint(source, also=modality)}"
    request = embedding_pb2.StartIngestRequest(
        operation_id=operation_id, source_uri=str(source.resolve()), split="dev", default_modality=modality
    )
    embedding_pb2_grpc.EmbeddingServiceStub(channels["embedding"]).StartIngest(request)
    done = finish(channels["embedding"], operation_id, f"ingest {source.name}", is_quiet=is_quiet)
    with tempfile.TemporaryDirectory(prefix="medq-") as name:
        folder = Path(name)
        download(channels["embedding"], done.result_uri, folder, ["report.jsonl", "images.jsonl"])
        with (folder / "images.jsonl").open("rb") as lines:
            rows = {row.image_id: row for row in from_lines(lines, Image, "images.jsonl")}
        with (folder / "report.jsonl").open("rb") as lines:
            return rows, list(from_lines(lines, Input, "report.jsonl"))


def _carried(manifest: Path) -> dict[str, dict[str, str]]:
    if manifest.suffix.lower() not in _TABLES:
        remedy = "Write the manifest as CSV or TSV, or name a folder."
        raise InvalidArgument("The columns cannot be carried on.", field="images", value=manifest.name, remedy=remedy)
    rows = read_rows(Path(os.path.realpath(manifest)), "manifest", "images", skipped=("image",))
    return {
        row.cells["image_path"].strip(): {name: row.cells.get(name, "").strip() for name in OF_IMAGE}
        for row in rows
        if not row.fault and row.cells.get("image_path")
    }
