"""The gRPC face of embedding: checks requests, answers what is known, notes long work."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
import numpy as np

from medq.embedding.v1 import embedding_pb2 as pb
from medq.embedding.v1 import embedding_pb2_grpc as pb_grpc
from services.embedding.ports import Encoders
from services.embedding.store.images import Store
from services.embedding.store.tables import ImageRow
from services.embedding.work.depths import Depths
from shared.errors import InvalidArgument, NotFound
from shared.objects.images import thumbnail
from shared.objects.store import SCHEME, ObjectStore
from shared.operations import Operations
from shared.paths import local_path
from shared.rows.vocabulary import MODALITIES, SPLITS, UNKNOWN
from shared.rpc.checks import require_between, require_caller, require_text, require_uri
from shared.rpc.operations import CHUNK_BYTES

MOST_TEXTS = 512
#: Texts between two looks whether the caller still waits.
_PIECE = 16
#: Sides of a small picture, in pixels: what is asked for where nothing is said, and the least and the most.
_SIDE, _LEAST_SIDE, _MOST_SIDE = 128, 16, 256
#: Images that are decoded at the same time: the largest take 0.3 GB each.
_MOST_DECODED = 2


class Embedding(pb_grpc.EmbeddingServiceServicer):
    """Serves `medq.embedding.v1.EmbeddingService`.

    Args:
        store: The service's tables.
        encoders: The site's encoders.
        operations: Where ingests are noted.
        objects: Where the stored images lie.
        input_roots: Folders in which sources must lie.
        depths: Gives grey levels out.
    """

    def __init__(
        self,
        store: Store,
        encoders: Encoders,
        operations: Operations,
        objects: ObjectStore,
        input_roots: Sequence[Path],
        depths: Depths,
    ) -> None:
        self._store = store
        self._objects = objects
        self._depths = depths
        self._decoding = threading.BoundedSemaphore(_MOST_DECODED)
        self._encoders = encoders
        self._operations = operations
        self._input_roots = input_roots

    def StartIngest(self, request: pb.StartIngestRequest, context: grpc.ServicerContext) -> pb.StartIngestResponse:
        """See the proto."""
        require_text("source_uri", request.source_uri)
        if request.source_uri.startswith(SCHEME):
            require_uri("source_uri", request.source_uri)
        else:
            local_path(request.source_uri, "source_uri", self._input_roots)
        _require_one_of("split", request.split, SPLITS)
        _require_one_of("default_modality", request.default_modality, ("", *MODALITIES, UNKNOWN))
        self._encoders.require(request.encoder)
        return pb.StartIngestResponse(operation_id=self._operations.start(request))

    def StartReembed(self, request: pb.StartReembedRequest, context: grpc.ServicerContext) -> pb.StartReembedResponse:
        """See the proto."""
        require_uri("image_set_uri", request.image_set_uri)
        self._encoders.require(request.encoder)
        return pb.StartReembedResponse(operation_id=self._operations.start(request))

    def GetImage(self, request: pb.GetImageRequest, context: grpc.ServicerContext) -> pb.GetImageResponse:
        """See the proto."""
        image = self._image(request.image_id)
        encoder_ids = self._store.encoders_of(image.image_id)
        return pb.GetImageResponse(
            image=pb.Image(
                image_id=image.image_id,
                image_uri=image.image_uri,
                phash=image.phash,
                modality=image.modality,
                width=image.width,
                height=image.height,
                is_embedded=bool(encoder_ids),
                encoder_ids=encoder_ids,
            )
        )

    def GetThumbnail(self, request: pb.GetThumbnailRequest, context: grpc.ServicerContext) -> pb.GetThumbnailResponse:
        """See the proto."""
        side = request.side or _SIDE
        require_between("side", side, _LEAST_SIDE, _MOST_SIDE)
        image = self._image(request.image_id)
        with self._decoding:
            require_caller(context)  # a page that was left does not wait for its pictures
            return pb.GetThumbnailResponse(png=thumbnail(self._objects, image.image_uri, side))

    def GetGreyLevels(
        self, request: pb.GetGreyLevelsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.GetGreyLevelsResponse]:
        """See the proto."""
        image = self._image(request.image_id)
        with self._decoding:
            require_caller(context)  # who has gone meanwhile does not have it decoded
            depth, levels = self._depths.read(image)
        window = depth.window
        scale = pb.GreyScale(
            width=levels.shape[1],
            height=levels.shape[0],
            low=depth.low,
            step=depth.step,
            is_inverted=depth.is_inverted,
            unit=depth.unit,
            window_function=window.function if window else "",
            window_center=window.center if window else None,
            window_width=window.width if window else None,
        )
        yield pb.GetGreyLevelsResponse(scale=scale)
        data = levels.astype("<u2", copy=False).reshape(-1).view(np.uint8).data
        for start in range(0, len(data), CHUNK_BYTES):
            require_caller(context)
            yield pb.GetGreyLevelsResponse(chunk=bytes(data[start : start + CHUNK_BYTES]))

    def EmbedTexts(self, request: pb.EmbedTextsRequest, context: grpc.ServicerContext) -> pb.EmbedTextsResponse:
        """See the proto."""
        if not 1 <= len(request.texts) <= MOST_TEXTS:
            remedy = f"Send 1..{MOST_TEXTS} texts a call."
            raise InvalidArgument(
                "There are too few or too many texts.", field="texts", value=len(request.texts), remedy=remedy
            )
        encoder = self._encoders.get(request.encoder)
        parts = []
        for start in range(0, len(request.texts), _PIECE):
            require_caller(context)
            parts.append(encoder.embed_texts(request.texts[start : start + _PIECE]))
        vectors = np.concatenate(parts)
        return pb.EmbedTextsResponse(
            vectors=vectors.astype("<f4").tobytes(), dimension=vectors.shape[1], encoder_id=encoder.encoder_id
        )

    def GetEncoder(self, request: pb.GetEncoderRequest, context: grpc.ServicerContext) -> pb.GetEncoderResponse:
        """See the proto."""
        encoder = self._encoders.get(request.encoder)
        return pb.GetEncoderResponse(encoder_id=encoder.encoder_id, dimension=encoder.dimension)

    def _image(self, image_id: str) -> ImageRow:
        image = self._store.images([image_id]).get(image_id)
        if image is None:
            remedy = "Ingest it first; ids are in images.jsonl of an image set."
            raise NotFound("No such image.", field="image_id", value=image_id, remedy=remedy)
        return image


def _require_one_of(field: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        names = ", ".join(name for name in known if name)
        raise InvalidArgument("This value is not known.", field=field, value=value, remedy=f"Use one of {names}.")
