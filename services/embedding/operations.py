"""Ingest: read every input of a source, store its pixels without identifiers, embed them, write the image set.

Restartable: an input is keyed by (operation, name), an image and its vector by its pixels, so whatever is done is skipped. The
image set depends on the source, the split, the encoder and the key alone, not on what was ingested before.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from medq.embedding.v1 import embedding_pb2 as pb
from services.embedding.ports import ImageSource, Listing
from services.embedding.store.marks import Marks
from services.embedding.store.tables import MOST_DEATHS
from services.embedding.work.facts import Facts
from services.embedding.work.publishing import write_image_set
from services.embedding.work.serving import Serving, Servings
from services.embedding.work.taking_over import take_over, write_again
from shared.batches import in_batches
from shared.errors import FailedPrecondition, InvalidArgument
from shared.objects.dataset import materialize, read_manifest
from shared.objects.store import SCHEME, ObjectStore
from shared.operation_context import OperationContext
from shared.paths import local_path
from shared.spill import Spill

_LOOK_AGAIN_SECONDS = 0.1  # while another worker embeds what this ingest waits for
_LOOKED_AT_ONCE = 500  # images of which is asked together whether they have a vector
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
        facts = Facts(serving.worker.encoder_id, request.run_id, request.operation_id)
        with self._list(request) as listing:
            serving.reader.read_all(context, request, listing, facts)
            self._embed_all(context, request.operation_id, serving, facts)
            if serving.guesser is not None:
                serving.guesser.guess(serving.store, request.operation_id, facts)
            return write_image_set(serving.store, self._objects, request, listing, serving.worker.encoder_id)

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
        return write_again(serving.store, self._objects, request.operation_id, uri, serving.worker.encoder_id)

    @contextmanager
    def _list(self, request: pb.StartIngestRequest) -> Iterator[Listing]:
        """What the source names; a source that is too much for the service is known by its mark, as an input is."""
        if self._marks.deaths(request.operation_id).get(_SOURCE, 0) >= MOST_DEATHS:
            raise FailedPrecondition(
                f"The service has ended {MOST_DEATHS} times while it read the source.",
                field="source_uri",
                remedy="Cut the source into smaller ones.",
            )
        with self._marks.in_hand(request.operation_id, [_SOURCE]):
            opened = self._source.open(self._locate(request.source_uri))
        with opened as listing:
            self._marks.drop(request.operation_id, _SOURCE)
            yield listing

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
        pause = threading.Event()
        with Spill() as spill:
            images = spill.table("images", str)
            for image_id in store.inputs.stored_images(operation_id):
                images.add(image_id)
            while True:
                done, total, n_left = 0, len(images), 0
                for part in in_batches((image_id for image_id, _ in images.items()), _LOOKED_AT_ONCE):
                    missing = store.without_vector(part)
                    done += len(part) - len(missing)
                    for some in in_batches(missing, _AT_ONCE):
                        context.progress(done, total, "images", "embedding")
                        done += worker.embed(some, facts)
                    n_left += len(store.without_vector(missing))
                if not n_left:
                    return
                for image_id in self._marks.give_up(operation_id, worker.encoder_id, *_NOT_SURVIVED):
                    images.remove(image_id)
                pause.wait(_LOOK_AGAIN_SECONDS)
