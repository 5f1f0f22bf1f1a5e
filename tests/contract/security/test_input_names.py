"""How inputs were named, which may be a patient's name, is given to those who bring data in, and not to those who look."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import numpy as np
import pytest

from medq.operations.v1 import operations_pb2 as pb
from medq.operations.v1 import operations_pb2_grpc as pb_grpc
from shared.errors import MedqError, PermissionDenied
from shared.objects.dataset import publish
from shared.objects.folder import FolderObjectStore
from shared.rows.benchmark import Rejection
from shared.rows.images import Input
from shared.rpc.channels import Channels, Credentials
from shared.rpc.rights import Role
from shared.status import from_rpc_error
from tests.support.guarded import add_caller, guarded_server, replace

DOE = "doe_jane.png"


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> FolderObjectStore:
    return FolderObjectStore(tmp_path_factory.mktemp("objects"))


@pytest.fixture(scope="module")
def image_set(objects: FolderObjectStore) -> str:
    row = Input(name=DOE, image_path=DOE, image_id="", status="failed", reason="damaged", remedy="")
    files = {"images.jsonl": [], "report.jsonl": [row], "vectors.npy": np.zeros((0, 2), np.float32)}
    return publish(objects, "image-set", files, counts={}, parents=[], configuration={})


@pytest.fixture(scope="module")
def benchmark(objects: FolderObjectStore) -> str:
    files = {"items.jsonl": [], "report.jsonl": [Rejection(name=DOE, reason="no answer", remedy="")]}
    return publish(objects, "benchmark", files, counts={}, parents=[], configuration={})


@pytest.fixture(scope="module")
def stubs(
    objects: FolderObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, pb_grpc.OperationsServiceStub]]:
    """A caller of each role."""
    folder = tmp_path_factory.mktemp("callers")
    callers = folder / "callers.yaml"
    tokens = {role.value: replace(folder / role, add_caller(callers, f"the {role}", role)) for role in Role}
    with guarded_server(tmp_path_factory.mktemp("server"), objects, auth={"tokens_file": str(callers)}) as server:
        opened = {role: Channels({"it": server.target}, Credentials(token_file=file)) for role, file in tokens.items()}
        yield {role: pb_grpc.OperationsServiceStub(channels["it"]) for role, channels in opened.items()}
        for channels in opened.values():
            channels.close()


def downloaded(stub: pb_grpc.OperationsServiceStub, uri: str, *names: str) -> dict[str, bytes] | MedqError:
    """Files by name, or the error that there was instead."""
    files: dict[str, bytes] = {}
    try:
        for piece in stub.DownloadDataset(pb.DownloadDatasetRequest(uri=uri, file_names=names)):
            files[piece.file_name] = files.get(piece.file_name, b"") + piece.chunk
    except grpc.RpcError as error:
        assert not any(DOE.encode() in data for data in files.values())
        return from_rpc_error(error)
    return files


@pytest.mark.parametrize("names", [("report.jsonl",), ("images.jsonl", "report.jsonl"), ()])
def test_a_reader_gets_no_names_of_images(
    stubs: dict[str, pb_grpc.OperationsServiceStub], image_set: str, names: tuple[str, ...]
) -> None:
    error = downloaded(stubs["reader"], image_set, *names)
    assert isinstance(error, PermissionDenied)
    assert (error.field, error.value) == ("file_names", "report.jsonl")
    assert "admin, operator, service" in error.remedy


def test_a_reader_gets_no_names_of_refused_rows(
    stubs: dict[str, pb_grpc.OperationsServiceStub], benchmark: str
) -> None:
    assert isinstance(downloaded(stubs["reader"], benchmark), PermissionDenied)
    assert downloaded(stubs["reader"], benchmark, "items.jsonl") == {"items.jsonl": b""}


def test_a_reader_gets_the_files_that_hold_no_names(
    stubs: dict[str, pb_grpc.OperationsServiceStub], image_set: str
) -> None:
    files = downloaded(stubs["reader"], image_set, "images.jsonl", "vectors.npy")
    assert isinstance(files, dict)
    assert set(files) == {"images.jsonl", "vectors.npy"}


@pytest.mark.parametrize("role", ["operator", "service", "admin"])
def test_who_brings_data_in_gets_the_names(
    stubs: dict[str, pb_grpc.OperationsServiceStub], image_set: str, role: str
) -> None:
    files = downloaded(stubs[role], image_set)
    assert isinstance(files, dict)
    assert DOE.encode() in files["report.jsonl"]
