"""Lists the runs of a MedQ-Engine server, then ingests a folder of images and waits until that has ended.

    python medqclient.py --server HOST:PORT --ca ca.pem --token-file operator.token --split pool /data/images

The paths to ingest are paths of the embedding service. A typed error is told with what to do about it; exit code 1.
Needs grpcio, grpcio-status, googleapis-common-protos, and the stubs that docs/clients.md says how to make.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from medq.controller.v1 import controller_pb2, controller_pb2_grpc
from medq.embedding.v1 import embedding_pb2, embedding_pb2_grpc
from medq.operations.v1 import operations_pb2, operations_pb2_grpc

ENDED = {
    operations_pb2.OPERATION_STATE_SUCCEEDED,
    operations_pb2.OPERATION_STATE_FAILED,
    operations_pb2.OPERATION_STATE_CANCELLED,
}


class Bearer(grpc.AuthMetadataPlugin):
    """Sends the token of a file with each call, read each time because tokens are rotated; gRPC sends it over TLS alone."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
        """Called by gRPC before each call."""
        callback((("authorization", f"Bearer {self._file.read_text().strip()}"),), None)


def main() -> int:
    """Run the example."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--server", required=True, help="host:port of the controller")
    parser.add_argument("--ca", required=True, type=Path, help="authority of the servers' certificates")
    parser.add_argument("--cert", type=Path, help="own certificate, if the server requires one")
    parser.add_argument("--key", type=Path, help="its key")
    parser.add_argument("--token-file", required=True, type=Path, help="file with the bearer token")
    parser.add_argument("--id", default="example/python", help="the same id is the same operation")
    parser.add_argument("--split", default="pool", help="pool, dev, test or replay")
    parser.add_argument("source", help="a folder or table that the embedding service can read")
    given = parser.parse_args()
    try:
        return run(given)
    except grpc.RpcError as error:
        print(told(error), file=sys.stderr)  # noqa: T201 - an example's output
        return 1


def run(given: argparse.Namespace) -> int:
    """List runs, ingest, wait.

    Raises:
        grpc.RpcError: A server refused a call.
    """
    own = [path.read_bytes() if path else None for path in (given.key, given.cert)]
    credentials = grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(given.ca.read_bytes(), *own),
        grpc.metadata_call_credentials(Bearer(given.token_file)),
    )
    with grpc.secure_channel(given.server, credentials) as channel:
        controller = controller_pb2_grpc.ControllerServiceStub(channel)
        for each in controller.ListRuns(controller_pb2.ListRunsRequest(), timeout=30).runs:
            print("run", each.run_id, each.state)  # noqa: T201
        endpoints = controller.GetEndpoints(controller_pb2.GetEndpointsRequest(), timeout=30).targets
    with grpc.secure_channel(endpoints["embedding"], credentials) as channel:
        request = embedding_pb2.StartIngestRequest(operation_id=given.id, source_uri=given.source, split=given.split)
        embedding_pb2_grpc.EmbeddingServiceStub(channel).StartIngest(request, timeout=30)
        return wait(operations_pb2_grpc.OperationsServiceStub(channel), given.id)


def wait(operations: operations_pb2_grpc.OperationsServiceStub, operation_id: str) -> int:
    """Ask for the operation until it has ended; a call waits for at most 10 s and answers as soon as something changed."""
    operation = operations_pb2.Operation()
    while operation.state not in ENDED:
        request = operations_pb2.WaitOperationRequest(
            operation_id=operation_id, seen_revision=operation.revision, wait=Duration(seconds=10)
        )
        operation = operations.WaitOperation(request, timeout=30).operation
        print("progress", operation.progress.done, "of", operation.progress.total)  # noqa: T201
    if operation.state == operations_pb2.OPERATION_STATE_SUCCEEDED:
        print("done", operation.result_uri)  # noqa: T201
        return 0
    failure = operation.failure
    print(failure.reason, failure.message, failure.metadata["remedy"], file=sys.stderr)  # noqa: T201
    return 1


def told(error: grpc.RpcError) -> str:
    """What an error means: the parts of google.rpc.ErrorInfo, which every typed error carries."""
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info = ErrorInfo()
        if detail.Unpack(info):
            data = info.metadata
            return f"{info.reason}: {data['message']} ({data['field']}={data['value']}) {data['remedy']}"
    return f"{error.code().name}: {error.details()}"


if __name__ == "__main__":
    sys.exit(main())
