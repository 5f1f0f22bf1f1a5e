"""Pictures of tasks, on their way from the service to the browser: piece by piece, and once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from medq.oracle.v1.review_pb2 import GetTaskImageRequest
from medq.oracle.v1.review_pb2_grpc import ReviewServiceStub
from shared.errors import DataLoss
from web.kept import KEPT, has_it

#: How long a picture may be on its way.
SECONDS = 20
#: Pieces of 256 KiB that are read at once: the service sends few pictures at a time, so that none waits for a slow browser.
READ_AT_ONCE = 64


def send_image(request: Request, stub: ReviewServiceStub, task_id: str, digest: str) -> Response:
    """A picture of a task, or that the browser has it.

    Raises:
        grpc.RpcError: The service does not give it.
        DataLoss: It gives nothing.
    """
    etag = f'"{digest}"'
    if has_it(request, etag):
        return Response(status_code=304, headers={**KEPT, "ETag": etag})
    call = stub.GetTaskImage(GetTaskImageRequest(task_id=task_id, image_uri=f"sha256:{digest}"), timeout=SECONDS)
    received = iter(call)
    first = list(islice(received, READ_AT_ONCE))  # what is refused is refused here, before anything was answered
    if not first:
        raise DataLoss("The picture is empty.", field="image", value=digest)

    def pieces() -> Iterator[bytes]:
        try:
            for piece in chain(first, received):
                yield piece.chunk
        finally:
            call.cancel()  # type: ignore[no-untyped-call]  # the browser may have gone

    return StreamingResponse(pieces(), media_type="image/png", headers={**KEPT, "ETag": etag})
