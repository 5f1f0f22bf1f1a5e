"""Reads the inputs of an ingest: whatever is wrong with one of them becomes a row of the report, never the end of the rest.

Several are read at once, each in a process of its own (`ports.ImageFormats`); what is recorded does not depend on which is
ready first. An input that was in hand when the service died is read alone, and not again after three deaths.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace

import msgspec

from medq.embedding.v1 import embedding_pb2 as pb
from services.embedding.domain.identity import keyed_hash
from services.embedding.domain.images import Quarantined, StoredForm
from services.embedding.domain.modalities import told_modality
from services.embedding.ports import Entry, ImageFormats, ImageSource
from services.embedding.store.images import Store
from services.embedding.store.marks import Marks
from services.embedding.store.tables import FAILED, MOST_DEATHS, QUARANTINED, STORED, ImageRow, InputRow
from services.embedding.work.facts import Facts
from services.embedding.work.worker import count_input
from shared.errors import InvalidArgument
from shared.folders import HIDDEN
from shared.objects.store import SCHEME, ObjectStore
from shared.operation_context import OperationContext
from shared.rows.images import entry_of
from shared.rows.vocabulary import SPLITS, UNKNOWN, name_modality

_LOOK_SECONDS = 0.5  # how soon a cancelled ingest no longer waits for an image
_Outcome = tuple[InputRow, ImageRow | None]
_Outcomes = list[_Outcome]
"""What became of the images of one file."""


class InputReader:
    """Reads and records inputs, a batch after the other.

    Args:
        store: The service's tables.
        marks: What is in hand.
        objects: Where images go.
        source: Gives the bytes of an input.
        formats: Reads images out of them.
        key: The site's key for hashes of identifiers.
        batch_size: Inputs of one transaction; when it is over, replicas are told of them and begin to embed.
    """

    def __init__(
        self,
        store: Store,
        marks: Marks,
        objects: ObjectStore,
        source: ImageSource,
        formats: ImageFormats,
        key: bytes,
        batch_size: int,
    ) -> None:
        self._store = store
        self._marks = marks
        self._objects = objects
        self._source = source
        self._formats = formats
        self._key = key
        self._batch_size = batch_size

    def read_all(
        self, context: OperationContext, request: pb.StartIngestRequest, entries: Sequence[Entry], facts: Facts
    ) -> None:
        """Record what becomes of each entry that has no outcome yet."""
        done = {entry_of(name) for name in self._store.names_done(request.operation_id)}
        deaths = self._marks.deaths(request.operation_id)
        left = [entry for entry in entries if entry.name not in done]
        repeated = {picture for picture, n in Counter(entry.picture for entry in left).items() if n > 1}
        if left:
            self._formats.prepare()
        seen: dict[str, Future[_Outcomes]] = {}  # several rows may name one picture
        n_done, threads = len(done), ThreadPoolExecutor(self._formats.at_once, thread_name_prefix="embedding-input")
        try:
            for batch in _batches(left, deaths, self._batch_size):
                with self._marks.in_hand(request.operation_id, [entry.name for entry in batch]):
                    for entry in batch:
                        if not entry.fault and entry.picture not in seen:
                            seen[entry.picture] = threads.submit(self._read, entry, deaths.get(entry.name, 0))
                    outcomes: list[_Outcomes] = []
                    for entry in batch:
                        context.progress(n_done + len(outcomes), len(entries), "inputs", "reading")
                        fault = _failed(entry.fault, entry.remedy) if entry.fault else None
                        read = fault or _await(context, seen[entry.picture])
                        outcomes.append([_describe(entry, one, request, self._key) for one in read])
                    self._record(request.operation_id, outcomes, facts)
                n_done += len(batch)
                for picture in {entry.picture for entry in batch} - repeated:
                    seen.pop(picture, None)
        finally:
            # Nobody waits for an image that was called off: it is read to its end for nothing.
            threads.shutdown(wait=False, cancel_futures=True)

    def _record(self, operation_id: str, outcomes: Sequence[_Outcomes], facts: Facts) -> None:
        """Record what is read in transactions of about a batch; the images of one file are never divided."""
        part: _Outcomes = []
        for number, several in enumerate(outcomes, start=1):
            part += several
            if len(part) >= self._batch_size or number == len(outcomes):
                self._record_part(operation_id, part, facts)
                part = []

    def _record_part(self, operation_id: str, outcomes: _Outcomes, facts: Facts) -> None:
        rows = [row for row, _ in outcomes]
        images = [image for _, image in outcomes if image is not None]
        self._store.record(operation_id, rows, images, facts.ingested, facts.embedded)
        for row in rows:
            if row.reason != HIDDEN:
                count_input(row.status)

    def _read(self, entry: Entry, deaths: int) -> _Outcomes:
        """What the pictures of an entry are; the rows are named by their part of the file alone."""
        if deaths >= MOST_DEATHS:
            reason = f"The service has ended {deaths} times while it read this input."
            return _failed(reason, "Look at the file with care, and export it again.")
        try:
            forms = self._formats.read(self._source.read(entry), self._key, part=entry.part)
        except InvalidArgument as error:
            return _failed(error.message, error.remedy)
        # An input that names a part itself is one image, under its own name.
        return [self._keep(form, "" if entry.part else form.part) for form in forms]

    def _keep(self, form: StoredForm | Quarantined, part: str) -> _Outcome:
        if isinstance(form, Quarantined):
            return InputRow(part, QUARANTINED, reason=form.reason, remedy=form.remedy), None
        uri = self._objects.put_bytes(form.png)
        window = msgspec.json.encode(form.window).decode()
        image_id = uri.removeprefix(SCHEME)
        image = ImageRow(image_id, uri, form.phash, form.width, form.height, window, form.modality, form.structure)
        # Images of one file are of one source, also where nothing says which; an image's own id would name none.
        source_id = f"file-{form.origin}" if form.origin else image_id
        row = InputRow(part, STORED, image_id, form.modality, source_id, form.patient, form.session, reason=form.note)
        return row, image


def _batches(entries: Sequence[Entry], deaths: Mapping[str, int], size: int) -> Iterator[list[Entry]]:
    """Entries in their order; one that was in hand at a death stands alone, so that it takes no other with it."""
    batch: list[Entry] = []
    for entry in entries:
        if batch and (len(batch) == size or entry.name in deaths or batch[-1].name in deaths):
            yield batch
            batch = []
        batch.append(entry)
    if batch:
        yield batch


def _await(context: OperationContext, outcome: Future[_Outcomes]) -> _Outcomes:
    while not wait([outcome], timeout=_LOOK_SECONDS).done:
        context.check_cancelled()
    return outcome.result()


def _failed(reason: str, remedy: str) -> _Outcomes:
    return [(InputRow("", FAILED, reason=reason, remedy=remedy), None)]


def _describe(entry: Entry, outcome: _Outcome, request: pb.StartIngestRequest, key: bytes) -> _Outcome:
    """What the manifest says beside what the file said; the manifest goes first."""
    read, image = outcome
    if image is None:
        return replace(read, name=f"{entry.name}{read.name}", source_id=""), None
    modality, modality_from = told_modality(entry.modality, read.modality, request.default_modality)
    is_known = not entry.modality or name_modality(entry.modality) != UNKNOWN
    note = "" if is_known else "the modality is not one of the known"
    patient = keyed_hash(key, "patient", entry.patient_id) or read.patient
    row = replace(
        read,
        name=f"{entry.name}{read.name}",
        modality=modality,
        modality_from=modality_from,
        # The study of a file has an id that no other has; a session of a manifest is a name within its patient.
        source_id=keyed_hash(key, "source", entry.source_id) or patient or read.session or read.source_id,
        patient=patient,
        session=keyed_hash(key, "session", entry.session_id) or read.session,
        split=entry.split if entry.split in SPLITS else request.split,
        licence=entry.licence,
        reason="; ".join(filter(None, (read.reason, note))),
    )
    return row, replace(image, modality=modality)
