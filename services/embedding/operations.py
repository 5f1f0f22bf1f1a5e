"""Ingest: read every input of a source, store its pixels without identifiers, embed them, write the image set.

Restartable: an input is keyed by (operation, name), an image and its vector by its pixels, so whatever is done is skipped. The
image set depends on the source, the split, the encoder and the key alone, not on what was ingested before.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from medq.embedding.v1 import embedding_pb2 as pb
from services.embedding.domain.identity import keyed_hash
from services.embedding.domain.images import Quarantined, check_size
from services.embedding.ports import Entry, ImageFormats, ImageSource
from services.embedding.store.images import Store
from services.embedding.store.tables import FAILED, QUARANTINED, STORED, ImageRow, InputRow
from services.embedding.work.facts import Facts
from services.embedding.work.lines import image_line, input_line
from services.embedding.work.worker import EmbeddingWorker, count_input
from shared.errors import FailedPrecondition, InvalidArgument
from shared.folders import HIDDEN
from shared.objects.dataset import materialize, publish, read_manifest
from shared.objects.store import SCHEME, ObjectStore
from shared.operations import OperationContext
from shared.paths import local_path
from shared.rows.images import OTHER_FILE, SAME_FILE
from shared.rows.vocabulary import SPLITS, UNKNOWN, name_modality

_LOOK_AGAIN_SECONDS = 0.1  # while another worker embeds what this ingest waits for
_Outcome = tuple[InputRow, ImageRow | None]


class EmbeddingOperations:
    """The long operations of the embedding service.

    Args:
        store: The service's tables.
        objects: Where images and image sets go.
        source: Lists and reads what is taken in.
        formats: Reads images out of files.
        worker: What embeds.
        key: The site's key for hashes of identifiers.
        batch_size: Inputs of one transaction; when it is over, replicas are told of them and begin to embed.
        cache_folder: Where a source out of the object store is unpacked.
        input_roots: Folders in which sources must lie.
    """

    def __init__(
        self,
        store: Store,
        objects: ObjectStore,
        source: ImageSource,
        formats: ImageFormats,
        worker: EmbeddingWorker,
        key: bytes,
        batch_size: int,
        cache_folder: Path,
        input_roots: Sequence[Path],
    ) -> None:
        self._store = store
        self._objects = objects
        self._source = source
        self._formats = formats
        self._worker = worker
        self._key = key
        self._batch_size = batch_size
        self._cache_folder = Path(os.path.realpath(cache_folder))  # files are opened through no link
        self._input_roots = input_roots

    def ingest(self, context: OperationContext, request: pb.StartIngestRequest) -> str:
        """Take in a source; the result is the image set's URI.

        Raises:
            NotFound, InvalidArgument: the source is not there, or is no source.
            FailedPrecondition: it names nothing, or nothing in it could be read.
        """
        entries = self._source.entries(self._locate(request.source_uri))
        facts = Facts(self._worker.encoder_id, request.run_id, request.operation_id)
        self._read_all(context, request, entries, facts)
        inputs = self._store.inputs(request.operation_id)
        rows = [inputs[entry.name] for entry in entries]
        image_ids = {row.image_id for row in rows if row.status == STORED}
        if not image_ids:
            _refuse(rows)
        self._embed_all(context, image_ids, facts)
        return self._write(request, entries, rows)

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

    def _read_all(
        self, context: OperationContext, request: pb.StartIngestRequest, entries: Sequence[Entry], facts: Facts
    ) -> None:
        done = self._store.names_done(request.operation_id)
        left = [entry for entry in entries if entry.name not in done]
        repeated = {picture for picture, n in Counter(entry.picture for entry in left).items() if n > 1}
        seen: dict[str, _Outcome] = {}  # several rows may name one picture
        for start in range(0, len(left), self._batch_size):
            outcomes = []
            for entry in left[start : start + self._batch_size]:
                context.progress(len(done), len(entries), "inputs", "reading")
                outcome = self._read(entry) if entry.fault else seen.get(entry.picture) or self._read(entry)
                if entry.picture in repeated and not entry.fault:
                    seen[entry.picture] = outcome
                outcomes.append(_describe(entry, outcome, request, self._key))
                done.add(entry.name)
            rows = [row for row, _ in outcomes]
            images = [image for _, image in outcomes if image is not None]
            self._store.record(request.operation_id, rows, images, facts.ingested, facts.embedded)
            for row in rows:
                if row.reason != HIDDEN:
                    count_input(row.status)

    def _read(self, entry: Entry) -> _Outcome:
        """What the picture of an entry is; whatever is wrong with it becomes a row, never an end."""
        try:
            decoded = self._formats.decode(self._source.read(entry), self._key)
            if isinstance(decoded, Quarantined):
                return InputRow("", QUARANTINED, reason=decoded.reason, remedy=decoded.remedy), None
            check_size(decoded.pixels)
        except InvalidArgument as error:
            return InputRow("", FAILED, reason=error.message, remedy=error.remedy), None
        uri = self._objects.put_bytes(self._formats.encode(decoded.pixels))
        height, width = decoded.pixels.shape[:2]
        window = msgspec.json.encode(decoded.window).decode()
        phash, structure = self._formats.perceptual_hash(decoded.pixels), self._formats.structure_hash(decoded.pixels)
        image_id = uri.removeprefix(SCHEME)
        image = ImageRow(image_id, uri, phash, width, height, window, decoded.modality, structure)
        row = InputRow("", STORED, image_id, decoded.modality, "", decoded.patient, decoded.session)
        return row, image

    def _embed_all(self, context: OperationContext, image_ids: set[str], facts: Facts) -> None:
        pause = threading.Event()
        while missing := self._store.without_vector(image_ids):
            done = len(image_ids) - len(missing)
            for start in range(0, len(missing), self._batch_size):
                context.progress(done, len(image_ids), "images", "embedding")
                done += self._worker.embed(missing[start : start + self._batch_size], facts)
            if self._store.without_vector(missing):
                pause.wait(_LOOK_AGAIN_SECONDS)

    def _write(self, request: pb.StartIngestRequest, entries: Sequence[Entry], rows: Sequence[InputRow]) -> str:
        first: dict[str, InputRow] = {}
        pictures: dict[str, str] = {}
        report = []
        for entry, row in zip(entries, rows, strict=True):
            is_again = row.status == STORED and first.setdefault(row.image_id, row) is not row
            is_same = pictures.setdefault(row.image_id, entry.picture) == entry.picture
            report.append(input_line(entry, row, is_again, SAME_FILE if is_same else OTHER_FILE))
        image_ids = sorted(first)
        images, vectors = self._store.images(image_ids), self._store.vectors(image_ids)
        return publish(
            self._objects,
            "image-set",
            {
                "images.jsonl": (image_line(images[i], first[i]) for i in image_ids),
                "report.jsonl": report,
                "vectors.npy": np.stack([np.frombuffer(vectors[i], dtype="<f4") for i in image_ids]),
            },
            counts={"images": len(image_ids), **Counter(row.status for row in report)},
            parents=[request.source_uri] if request.source_uri.startswith(SCHEME) else [],
            configuration={
                "default_modality": request.default_modality,
                "encoder_id": self._worker.encoder_id,
                "split": request.split,
            },
        )


def _describe(entry: Entry, outcome: _Outcome, request: pb.StartIngestRequest, key: bytes) -> _Outcome:
    """What the manifest says beside what the file said; the manifest goes first."""
    read, image = outcome
    if image is None:
        return replace(read, name=entry.name), None
    named = name_modality(entry.modality)
    known = (m for m in (named, read.modality, request.default_modality) if m not in ("", UNKNOWN))
    modality = next(known, UNKNOWN)
    note = "the modality is not one of the known" if entry.modality and named == UNKNOWN else ""
    patient = keyed_hash(key, "patient", entry.patient_id) or read.patient
    row = replace(
        read,
        name=entry.name,
        modality=modality,
        # The study of a file has an id that no other has; a session of a manifest is a name within its patient.
        source_id=entry.source_id or patient or read.session or read.image_id,
        patient=patient,
        session=keyed_hash(key, "session", entry.session_id) or read.session,
        split=entry.split if entry.split in SPLITS else request.split,
        licence=entry.licence,
        reason=note,
    )
    return row, replace(image, modality=modality)


def _refuse(rows: Sequence[InputRow]) -> None:
    reasons = Counter(row.reason for row in rows).most_common(3)
    listed = "; ".join(f"{count} x {reason}" for reason, count in reasons)
    raise FailedPrecondition(
        f"None of the {len(rows)} inputs could be taken in: {listed}",
        field="source_uri",
        remedy=rows[0].remedy or "Use PNG, JPEG, TIFF or single-frame DICOM files.",
    )
