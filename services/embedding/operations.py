"""Ingest: read every input of a source, store its pixels without identifiers, embed them, write the image set.

Restartable: an input is keyed by (operation, name), an image and its vector by its pixels, so whatever is done is skipped. The
image set depends on the source, the split, the encoder and the key alone, not on what was ingested before.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from medq.embedding.v1 import embedding_pb2 as pb
from services.embedding.ports import Entry, ImageSource
from services.embedding.store.marks import Marks
from services.embedding.store.tables import MOST_DEATHS, STORED, InputRow
from services.embedding.work.facts import Facts
from services.embedding.work.lines import image_line, input_line
from services.embedding.work.serving import Serving, Servings
from services.embedding.work.taking_over import take_over, write_again
from shared.errors import FailedPrecondition, InvalidArgument
from shared.objects.dataset import materialize, publish, read_manifest
from shared.objects.store import SCHEME, ObjectStore
from shared.operation_context import OperationContext
from shared.paths import local_path
from shared.rows.images import OTHER_FILE, OTHER_PART, SAME_FILE, entry_of, part_of, who_told_modality

_LOOK_AGAIN_SECONDS = 0.1  # while another worker embeds what this ingest waits for
_AT_ONCE = 64  # images between two looks at whether the ingest was called off
_SOURCE = ""  # in the place of an input's name, of which none is empty
_NOT_SURVIVED = (
    f"The service has ended {MOST_DEATHS} times while it embedded this image.",
    "Leave the image out, or reduce it.",
)


class EmbeddingOperations:
    """The long operations of the embedding service.

    Args:
        servings: What works with each encoder.
        marks: What is in hand.
        objects: Where images and image sets go.
        source: Lists what is taken in.
        cache_folder: Where a source out of the object store is unpacked.
        input_roots: Folders in which sources must lie.
    """

    def __init__(
        self,
        servings: Servings,
        marks: Marks,
        objects: ObjectStore,
        source: ImageSource,
        cache_folder: Path,
        input_roots: Sequence[Path],
    ) -> None:
        self._servings = servings
        self._marks = marks
        self._objects = objects
        self._source = source
        self._cache_folder = Path(os.path.realpath(cache_folder))  # files are opened through no link
        self._input_roots = input_roots

    def ingest(self, context: OperationContext, request: pb.StartIngestRequest) -> str:
        """Take in a source; the result is the image set's URI.

        Raises:
            NotFound, InvalidArgument: the source is not there, or is no source; there is no such encoder.
            FailedPrecondition: it names nothing, nothing in it could be read, or it ended the service again and again; the
                encoder cannot be loaded.
        """
        serving = self._servings.get(request.encoder)
        entries = self._list(request)
        facts = Facts(serving.worker.encoder_id, request.run_id, request.operation_id)
        serving.reader.read_all(context, request, entries, facts)
        self._embed_all(context, request.operation_id, serving, facts)
        if serving.guesser is not None:
            serving.guesser.guess(serving.store, request.operation_id, facts)
        named = {entry.name: entry for entry in entries}
        order = {name: place for place, name in enumerate(named)}
        recorded = serving.store.inputs(request.operation_id).values()
        rows = [row for row in recorded if entry_of(row.name) in named]  # a file may be gone since a restart
        rows.sort(key=lambda row: (order[entry_of(row.name)], len(row.name), row.name))
        if not any(row.status == STORED for row in rows):
            _refuse(rows)
        return self._write(request, serving, named, rows)

    def reembed(self, context: OperationContext, request: pb.StartReembedRequest) -> str:
        """Embed the images of a set with another encoder; the result is a set beside the old one.

        Raises:
            NotFound, InvalidArgument: there is no such set or encoder.
            FailedPrecondition: the encoder cannot be loaded, or no image survives it.
        """
        serving, uri = self._servings.get(request.encoder), request.image_set_uri
        facts = Facts(serving.worker.encoder_id, request.run_id, request.operation_id)
        take_over(serving.store, self._objects, request.operation_id, uri, facts)
        self._embed_all(context, request.operation_id, serving, facts)
        rows = list(serving.store.inputs(request.operation_id).values())
        if not any(row.status == STORED for row in rows):
            _refuse(rows)
        return write_again(serving.store, self._objects, request.operation_id, uri, serving.worker.encoder_id)

    def _list(self, request: pb.StartIngestRequest) -> list[Entry]:
        """What the source names; a source that is too much for the service is known by its mark, as an input is."""
        if self._marks.deaths(request.operation_id).get(_SOURCE, 0) >= MOST_DEATHS:
            raise FailedPrecondition(
                f"The service has ended {MOST_DEATHS} times while it read the source.",
                field="source_uri",
                remedy="Cut the source into smaller ones.",
            )
        with self._marks.in_hand(request.operation_id, [_SOURCE]):
            entries = self._source.entries(self._locate(request.source_uri))
        self._marks.drop(request.operation_id, _SOURCE)
        return entries

    def _locate(self, source_uri: str) -> Path:
        """The folder or file that a source URI names."""
        if not source_uri.startswith(SCHEME):
            return local_path(source_uri, "source_uri", self._input_roots)
        try:
            read_manifest(self._objects, source_uri)
        except InvalidArgument:
            return self._fetch(source_uri)
        folder = materialize(self._objects, source_uri, self._cache_folder)
        files = list(folder.iterdir())
        return files[0] if len(files) == 1 and files[0].is_file() else folder

    def _fetch(self, uri: str) -> Path:
        """A stored file that is no dataset: a manifest in Parquet, TSV or CSV, told by its content."""
        path = self._cache_folder / uri.removeprefix(SCHEME)
        self._objects.fetch(uri, path)
        return path

    def _embed_all(self, context: OperationContext, operation_id: str, serving: Serving, facts: Facts) -> None:
        store, worker = serving.store, serving.worker
        image_ids = {row.image_id for row in store.inputs(operation_id).values() if row.status == STORED}
        pause = threading.Event()
        while missing := store.without_vector(image_ids):
            done = len(image_ids) - len(missing)
            for start in range(0, len(missing), _AT_ONCE):
                context.progress(done, len(image_ids), "images", "embedding")
                done += worker.embed(missing[start : start + _AT_ONCE], facts)
            if store.without_vector(missing):
                image_ids -= self._marks.give_up(operation_id, worker.encoder_id, *_NOT_SURVIVED)
                pause.wait(_LOOK_AGAIN_SECONDS)

    def _write(
        self, request: pb.StartIngestRequest, serving: Serving, named: Mapping[str, Entry], rows: Sequence[InputRow]
    ) -> str:
        first: dict[str, InputRow] = {}
        pictures: dict[str, tuple[str, str]] = {}
        report = []
        for row in rows:
            entry = named[entry_of(row.name)]
            is_again = row.status == STORED and first.setdefault(row.image_id, row) is not row
            picture = entry.picture, part_of(row.name)
            why_again = _why_again(pictures.setdefault(row.image_id, picture), picture)
            report.append(input_line(entry, row, is_again, why_again))
        image_ids = sorted(first)
        images, vectors = serving.store.images(image_ids), serving.store.vectors(image_ids)
        lines = [image_line(images[i], first[i]) for i in image_ids]
        return publish(
            self._objects,
            "image-set",
            {
                "images.jsonl": lines,
                "report.jsonl": report,
                "vectors.npy": np.stack([np.frombuffer(vectors[i], dtype="<f4") for i in image_ids]),
            },
            counts={"images": len(image_ids), **Counter(row.status for row in report), **who_told_modality(lines)},
            parents=[request.source_uri] if request.source_uri.startswith(SCHEME) else [],
            configuration={
                "default_modality": request.default_modality,
                "encoder_id": serving.worker.encoder_id,
                "split": request.split,
            },
        )


def _why_again(first: tuple[str, str], picture: tuple[str, str]) -> str:
    """Why an image is there again, by the file and the part of it that it was first found in, and this time."""
    if first[0] != picture[0]:
        return OTHER_FILE
    return SAME_FILE if first == picture else OTHER_PART


def _refuse(rows: Sequence[InputRow]) -> None:
    reasons = Counter(row.reason for row in rows).most_common(3)
    listed = "; ".join(f"{count} x {reason}" for reason, count in reasons)
    raise FailedPrecondition(
        f"None of the {len(rows)} inputs could be taken in: {listed}",
        field="source_uri",
        remedy=rows[0].remedy or "Use PNG, JPEG, TIFF, DICOM or NIfTI files.",
    )
