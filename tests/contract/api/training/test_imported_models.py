"""Folders become models."""

from __future__ import annotations

import grpc
import pytest

from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from shared.errors import InvalidArgument, PermissionDenied
from shared.objects.dataset import read_manifest
from shared.status import from_rpc_error
from tests.support.training_house import checkpoint, import_model


def test_an_imported_model_is_its_files_without_the_trainers(house, tmp_path):
    folder = checkpoint(tmp_path, {})
    (folder / "optimizer.pt").write_bytes(b"x")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x").write_bytes(b"x")
    (folder / "merges.txt").symlink_to(folder / "config.json")
    for name in ("token", "modeling_custom.py", "notes.txt", ".env", "model.pkl"):
        (folder / name).write_text("SECRET")
    with house.server() as channel:
        uri = import_model(channel, folder)
        (folder / "token").unlink()
        again = import_model(channel, f"file://{folder}", operation_id="again")
        told = operations_pb2_grpc.OperationsServiceStub(channel).GetOperation(
            operations_pb2.GetOperationRequest(operation_id="again")
        )
    assert "6 files and folders are no part of a checkpoint" in told.operation.progress.message
    assert set(read_manifest(house.objects, uri, "model").files) == {
        "config.json", "model.safetensors", "tokenizer.json", "processor_config.json", "merges.txt",
    }  # fmt: skip
    assert uri == again


def test_a_folder_without_weights_is_a_clear_error(house, tmp_path):
    folder = checkpoint(tmp_path, {})
    (folder / "model.safetensors").unlink()
    with house.server() as channel, pytest.raises(InvalidArgument, match="weights are missing"):
        import_model(channel, folder)


@pytest.mark.parametrize("uri", ["", "a\0b", "x" * 5000, "http://host/x", "file://[", "loop"])
def test_what_is_no_folder_is_refused_at_once(uri, house, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    with house.server() as channel, pytest.raises(grpc.RpcError) as caught:
        import_model(channel, uri)
    assert from_rpc_error(caught.value).field == "folder_uri"


def test_a_model_outside_the_input_roots_is_refused_at_once(house, tmp_path):
    (tmp_path / "models").mkdir()
    inside, outside = checkpoint(tmp_path / "models", {}), checkpoint(tmp_path, {})
    house.settings = house.settings.model_copy(update={"input_roots": (tmp_path / "models",)})
    with house.server() as channel:
        assert import_model(channel, inside)
        with pytest.raises(grpc.RpcError) as caught:
            import_model(channel, outside, operation_id="outside")
    assert isinstance(from_rpc_error(caught.value), PermissionDenied)
