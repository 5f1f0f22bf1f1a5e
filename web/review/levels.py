"""Grey levels of more than 8 bits, on their way from the embedding service to the browser, of the pictures that a task shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus
from itertools import chain, islice

import grpc
from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from google.protobuf.json_format import MessageToDict

from medq.embedding.v1.embedding_pb2 import GetGreyLevelsRequest
from medq.embedding.v1.embedding_pb2_grpc import EmbeddingServiceStub
from medq.oracle.v1.review_pb2 import GetTaskRequest
from medq.oracle.v1.review_pb2_grpc import ReviewServiceStub
from shared.errors import InvalidArgument, NotFound
from web.calls import Services
from web.kept import KEPT, has_it
from web.review.images import READ_AT_ONCE, SECONDS

#: What the levels are worth: `medq.embedding.v1.GreyScale` as JSON.
SCALE = "Medq-Grey-Scale"


def send_levels(request: Request, services: Services, task_id: str, digest: str) -> Response:
    """The grey levels of a picture of a task, or that the browser has them: those that an image has never change.

    Where only 8 bits are known, or the pages know no embedding service, the answer has no content: that is no fault.

    Raises:
        grpc.RpcError: A service does not give them.
        NotFound: The task does not show this picture.
    """
    etag = f'"{digest}-levels"'
    if has_it(request, etag):
        return Response(status_code=304, headers={**KEPT, "ETag": etag})
    task = services.stub("oracle", ReviewServiceStub).GetTask(GetTaskRequest(task_id=task_id), timeout=SECONDS).task
    if f"sha256:{digest}" not in (task.image_uri, *task.clean_neighbours, *task.similar_failures):
        raise NotFound("The task does not show this image.", field="image", value=digest, remedy="GetTask names them.")
    try:
        stub = services.stub("embedding", EmbeddingServiceStub)
    except InvalidArgument:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    call = stub.GetGreyLevels(GetGreyLevelsRequest(image_id=digest), timeout=SECONDS, wait_for_ready=False)
    received = iter(call)
    try:
        scale = next(received).scale  # what is refused is refused here, before anything was answered
    except grpc.RpcError as error:
        if isinstance(error, grpc.Call) and error.code() is grpc.StatusCode.NOT_FOUND:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        raise
    first = list(islice(received, READ_AT_ONCE))

    def pieces() -> Iterator[bytes]:
        try:
            for piece in chain(first, received):
                yield piece.chunk
        finally:
            call.cancel()  # type: ignore[no-untyped-call]  # the browser may have gone

    told = json.dumps(MessageToDict(scale, preserving_proto_field_name=True, always_print_fields_with_no_presence=True))
    headers = {**KEPT, "ETag": etag, SCALE: told}
    return StreamingResponse(pieces(), media_type="application/octet-stream", headers=headers)
