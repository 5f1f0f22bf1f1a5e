"""Reads the inputs of an ingest: whatever is wrong with one of them becomes a row of the report, never the end of the rest.

Several are read at once, each in a process of its own (`ports.ImageFormats`); what is recorded does not depend on which is
ready first. An input that was in hand when the service died is read alone, and not again after three deaths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from itertools import islice

import msgspec

from medq.embedding.v1 import embedding_pb2 as pb
from services.embedding.domain.identity import keyed_hash
from services.embedding.domain.images import Quarantined, StoredForm
from services.embedding.domain.modalities import told_modality
from services.embedding.ports import Entry, ImageFormats, Listing
from services.embedding.store.images import Store
from services.embedding.store.marks import Marks
from services.embedding.store.tables import FAILED, MOST_DEATHS, QUARANTINED, STORED, ImageRow, InputRow
from services.embedding.work.depths import keep_depth
from services.embedding.work.facts import Facts
from services.embedding.work.recorded import recorded
from services.embedding.work.worker import count_input
from shared.errors import InvalidArgument
from shared.folders import HIDDEN
from shared.objects.store import SCHEME, ObjectStore
from shared.operation_context import OperationContext
from shared.rows.vocabulary import SPLITS, UNKNOWN, name_modality

_REMEMBERED = 1_000  # pictures that need not be read again where a later row names them
_LOOK_SECONDS = 0.5  # how soon a cancelled ingest no longer waits for an image
_Outcome = tuple[InputRow, ImageRow | None]
_Outcomes = list[_Outcome]
"""What became of the images of one file."""
_Placed = tuple[int, Entry]
"""An entry, and how many stand before it in its source."""


class InputReader:
    """Reads and records inputs, a batch after the other.

    Args:
        store: The service's tables.
        marks: What is in hand.
        objects: Where images go.
        formats: Reads images out of them.
        key: The site's key for hashes of identifiers.
        batch_size: Inputs of one transaction; when it is over, replicas are told of them and begin to embed.
    """

    def __init__(
        self, store: Store, marks: Marks, objects: ObjectStore, formats: ImageFormats, key: bytes, batch_size: int
    ) -> None:
        self._store = store
        self._marks = marks
        self._objects = objects
        self._formats = formats
        self._key = key
        self._batch_size = batch_size

    def read_all(
        self, context: OperationContext, request: pb.StartIngestRequest, listing: Listing, facts: Facts
    ) -> None:
        """Record what becomes of each entry that has no outcome yet."""
        deaths = self._marks.deaths(request.operation_id)
        rows = recorded(self._store, request.operation_id, listing)
        left = ((place, entry) for place, (entry, found) in enumerate(rows) if not found)
        is_prepared = False
        with _Pictures(
            lambda entry: self._read(listing, entry, deaths.get(entry.name, 0)), self._formats.at_once
        ) as pictures:
            for batch in _batches(left, deaths, self._batch_size):
                if not is_prepared:
                    self._formats.prepare()
                    is_prepared = True
                with self._marks.in_hand(request.operation_id, [entry.name for _, entry in batch]):
                    pictures.begin([entry for _, entry in batch])
                    outcomes: list[_Outcomes] = []
                    for place, entry in batch:
                        context.progress(place, len(listing), "inputs", "reading")
                        read = pictures.outcomes(entry, context)
                        outcomes.append([_describe(entry, one, request, self._key) for one in read])
                    self._record(request.operation_id, outcomes, facts)

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

    def _read(self, listing: Listing, entry: Entry, deaths: int) -> _Outcomes:
        """What the pictures of an entry are; the rows are named by their part of the file alone."""
        if deaths >= MOST_DEATHS:
            reason = f"The service has ended {deaths} times while it read this input."
            return _failed(reason, "Look at the file with care, and export it again.")
        try:
            forms = self._formats.read(listing.read(entry), self._key, part=entry.part)
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
        depth = keep_depth(self._objects, form.depth)
        image = ImageRow(
            image_id, uri, form.phash, form.width, form.height, window, form.modality, form.structure, depth
        )
        # Images of one file are of one source, also where nothing says which; an image's own id would name none.
        source_id = f"file-{form.origin}" if form.origin else image_id
        row = InputRow(part, STORED, image_id, form.modality, source_id, form.patient, form.session, reason=form.note)
        return row, image


class _Pictures:
    """Reads the pictures of a batch at once, and remembers the last ones: several rows may name one picture.

    Args:
        read: Reads an entry that has no fault.
        at_once: How many are read at the same time.
    """

    def __init__(self, read: Callable[[Entry], _Outcomes], at_once: int) -> None:
        self._read = read
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="embedding-input")
        self._begun: dict[str, Future[_Outcomes]] = {}

    def begin(self, batch: Sequence[Entry]) -> None:
        """Begin to read those of these entries whose pictures are not known; what was read long ago is forgotten."""
        for picture in list(islice(self._begun, max(0, len(self._begun) - _REMEMBERED))):
            del self._begun[picture]
        for entry in batch:
            if not entry.fault and entry.picture not in self._begun:
                self._begun[entry.picture] = self._threads.submit(self._read, entry)

    def outcomes(self, entry: Entry, context: OperationContext) -> _Outcomes:
        """What became of an entry of the batch that was begun."""
        if entry.fault:
            return _failed(entry.fault, entry.remedy)
        outcome = self._begun[entry.picture]
        while not wait([outcome], timeout=_LOOK_SECONDS).done:
            context.check_cancelled()
        return outcome.result()

    def __enter__(self) -> _Pictures:
        return self

    def __exit__(self, *_: object) -> None:
        # Nobody waits for an image that was called off: it is read to its end for nothing.
        self._threads.shutdown(wait=False, cancel_futures=True)


def _batches(entries: Iterable[_Placed], deaths: Mapping[str, int], size: int) -> Iterator[list[_Placed]]:
    """Entries in their order; one that was in hand at a death stands alone, so that it takes no other with it."""
    batch: list[_Placed] = []
    for place, entry in entries:
        if batch and (len(batch) == size or entry.name in deaths or batch[-1][1].name in deaths):
            yield batch
            batch = []
        batch.append((place, entry))
    if batch:
        yield batch


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
