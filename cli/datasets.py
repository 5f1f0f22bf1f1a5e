"""Datasets as a client gets them, held against their digests: the URI names the manifest, the manifest each file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import grpc

from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from shared.errors import DataLoss
from shared.objects.manifest import MOST_MANIFEST_BYTES, Manifest, parse_manifest
from shared.objects.store import digest_of, uri_of
from shared.objects.verification import verified, write_whole

#: Files of one call; their names stay far below the bound of a message.
_MOST_NAMES = 500


def manifest_of(channel: grpc.Channel, uri: str, kind: str | None = None) -> Manifest:
    """The manifest of a dataset.

    Raises:
        DataLoss: What came is not what the URI names.
        InvalidArgument: It is no dataset, or one of another kind.
        grpc.RpcError: It could not be had.
    """
    stub = operations_pb2_grpc.OperationsServiceStub(channel)
    request = operations_pb2.DownloadDatasetRequest(uri=uri, is_manifest_only=True)
    data = b"".join(_bounded((piece.chunk for piece in stub.DownloadDataset(request)), MOST_MANIFEST_BYTES, uri))
    if hashlib.sha256(data).hexdigest() != digest_of(uri):
        raise _another(uri)
    return parse_manifest(data, uri, kind)


def fetch(channel: grpc.Channel, uri: str, manifest: Manifest, names: Sequence[str], folder: Path) -> None:
    """Write files of a dataset into a folder that is ours alone; each appears when it is whole and what the manifest says.

    Raises:
        DataLoss: Something else came.
        grpc.RpcError: They could not be had.
    """
    stub = operations_pb2_grpc.OperationsServiceStub(channel)
    for name in names:
        if name not in manifest.files:
            raise _another(name)
    for start in range(0, len(names), _MOST_NAMES):
        batch = names[start : start + _MOST_NAMES]
        wanted = set(batch)
        stream = stub.DownloadDataset(operations_pb2.DownloadDatasetRequest(uri=uri, file_names=batch))
        for name, pieces in groupby(stream, lambda piece: piece.file_name):
            if name not in wanted:
                raise _another(name)
            wanted.remove(name)
            entry = manifest.files[name]
            chunks = _bounded((piece.chunk for piece in pieces), entry.bytes, name)
            write_whole(folder / name, verified(chunks, uri_of(entry.sha256)))
        if wanted:
            raise _another(min(wanted))


def _bounded(chunks: Iterable[bytes], most_bytes: int, name: str) -> Iterator[bytes]:
    n_bytes = 0
    for chunk in chunks:
        n_bytes += len(chunk)
        if n_bytes > most_bytes:
            raise _another(name)
        yield chunk


def _another(name: str) -> DataLoss:
    remedy = "Repeat the command; if it ends so again, the service or what lies between is at fault."
    return DataLoss("What came is not what was asked for.", field="uri", value=name, remedy=remedy)
