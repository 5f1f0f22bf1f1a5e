"""Files of the server that callers name, on the real services: nothing of them is quoted, nothing outside the roots is read."""

from __future__ import annotations

import io
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from medq.controller.v1 import controller_pb2
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from medq.embedding.v1 import embedding_pb2
from medq.embedding.v1.embedding_pb2_grpc import EmbeddingServiceStub
from medq.evaluation.v1 import evaluation_pb2
from medq.evaluation.v1.evaluation_pb2_grpc import EvaluationServiceStub
from medq.operations.v1 import operations_pb2
from medq.operations.v1.operations_pb2_grpc import OperationsServiceStub
from medq.training.v1 import training_pb2
from medq.training.v1.training_pb2_grpc import TrainingServiceStub
from services.embedded import Embedded
from shared.logs import logging_to
from shared.objects.dataset import read_manifest
from shared.objects.folder import FolderObjectStore
from shared.rpc.channels import Channels
from shared.rpc.operations import await_operation
from shared.settings import SERVICES
from shared.status import from_rpc_error
from tests.support.ports import free_port
from tests.support.run_files import write_run_files
from tests.support.servers import short_folder

MARK = "PLANTED7F3A"
READING = ("embedding", "evaluation", "training", "controller")
_NO_SUCH_SET = f"sha256:{'0' * 64}"


@dataclass
class Site:
    """The six services, what they have logged, and a folder that they may read."""

    channels: Channels
    log: io.StringIO
    folder: Path
    objects: FolderObjectStore

    def said(self, service: str, request: Any) -> str:
        """Everything that a caller gets to see of an operation that names a path, and what is logged meanwhile."""
        before = self.log.tell()
        stub, call = {
            "embedding": (EmbeddingServiceStub, "StartIngest"),
            "evaluation": (EvaluationServiceStub, "StartImportBenchmark"),
            "training": (TrainingServiceStub, "StartImportModel"),
        }[service]
        channel = self.channels[service]
        try:
            operation_id = getattr(stub(channel), call)(request).operation_id
            try:
                await_operation(channel, operation_id)
            except Exception as error:  # what a caller is told, whatever it is
                told = f"{error!r} {error}"
            else:
                told = "done"
            query = operations_pb2.GetOperationRequest(operation_id=operation_id)
            told += str(OperationsServiceStub(channel).GetOperation(query))
        except grpc.RpcError as error:
            told = f"{error} {error.trailing_metadata()}"
        return told + self.log.getvalue()[before:]

    def refusal(self, service: str, path: str) -> tuple[str, str]:
        """The kind of error that a path ends in, at once or in the operation, and the field that it names."""
        said = self.said(service, request_for(service, path))
        kinds = ("INVALID_ARGUMENT", "NOT_FOUND", "PERMISSION_DENIED", "FAILED_PRECONDITION", "INTERNAL", "UNKNOWN")
        return next((kind for kind in kinds if kind in said), said), said


def request_for(service: str, path: str) -> Any:
    operation_id = uuid.uuid4().hex
    if service == "embedding":
        return embedding_pb2.StartIngestRequest(operation_id=operation_id, source_uri=path, split="pool")
    if service == "training":
        return training_pb2.StartImportModelRequest(operation_id=operation_id, folder_uri=path)
    return evaluation_pb2.StartImportBenchmarkRequest(
        operation_id=operation_id, items_uri=path, image_set_uri=_NO_SUCH_SET, split="dev"
    )


def problems(site: Site, changes: Mapping[str, str], base: Path | str = "") -> list[controller_pb2.Problem]:
    """What ValidateRun says of a run whose paths are changed."""
    content = yaml.safe_load((site.folder / "run.yaml").read_text())
    for key, path in changes.items():
        (content if key == "model" else content["data"])[key] = path
    request = controller_pb2.ValidateRunRequest(
        config_yaml=yaml.safe_dump(content), base_folder=str(base or site.folder)
    )
    return list(ControllerServiceStub(site.channels["controller"]).ValidateRun(request).problems)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    log = io.StringIO()
    with short_folder() as place, pytest.MonkeyPatch.context() as patch, logging_to(log):
        data = Path(os.path.realpath(place)) / "data"
        data.mkdir()
        config = write_run_files(data / "run")
        (data / "run" / "run.yaml").write_text(config)
        for service in READING:
            patch.setenv(f"MEDQ_{service.upper()}_INPUT_ROOTS", json.dumps([str(data)]))
        with Embedded(place / "state") as embedded, Channels(embedded.targets) as channels:
            yield Site(channels, log, data / "run", FolderObjectStore(place / "state" / "objects"))


PLANTED: dict[str, bytes] = {
    "token": MARK.encode(),
    "token.csv": MARK.encode(),
    "passwd": f"root:x:0:0:{MARK}:/root:/bin/sh\n{MARK}:x:1:1::/:/bin/sh\n".encode(),
    "worklist.tsv": f"{MARK}^NAME\tMRN-{MARK}\n{MARK}\t2\n".encode(),
    "worklist.csv": f"{MARK}^NAME,MRN-{MARK}\n{MARK},2\n".encode(),
    "environ": f"PATH=/bin\0TOKEN={MARK}\0".encode(),
    "binary": bytes(range(256)) + MARK.encode(),
    "twice.tsv": f"{MARK}\t{MARK}\nx\ty\n".encode(),
    "open.tsv": f'image_path\tindex\tquestion\tanswer\n"{MARK}\t1\tq\tA\n'.encode(),
    "latin.csv": f"image_path,index,question,answer\n{MARK}\xff,1,q,A\n".encode("latin-1"),
    "again.tsv": f"image_path\tindex\tquestion\tanswer\n{MARK}.png\t{MARK}\tq\tA\n{MARK}\t{MARK}\tq\tA\n".encode(),
    "good.tsv": f"image_path\tindex\tquestion\tanswer\tmodality\n{MARK}.png\t1\t{MARK}\t{MARK}\t{MARK}\n".encode(),
    "long.tsv": f"image_path\tindex\n{MARK * 100}\t{MARK * 100}\n".encode(),
    "ragged.csv": f"image_path,index,question,answer\n{MARK},{MARK}\n".encode(),
    "broken.parquet": b"PAR1" + MARK.encode() + b"PAR1",
    "text.parquet": MARK.encode(),
    "run.json": json.dumps({MARK: MARK}).encode(),
}


@pytest.mark.parametrize("name", [*PLANTED, "columns.parquet", "/proc/self/environ"])
def test_nothing_of_a_named_file_is_quoted(site: Site, name: str) -> None:
    path = site.folder / "planted" / name
    path.parent.mkdir(exist_ok=True)
    if name == "columns.parquet":
        pq.write_table(pa.table({MARK: [MARK], "other": [MARK]}), path)
    elif not name.startswith("/"):
        path.write_bytes(PLANTED[name])
    said = [site.said(service, request_for(service, str(path))) for service in READING[:3]]
    said += [str(problems(site, {key: str(path)})) for key in ("pool", "dev", "test", "pool_answers", "model")]
    assert all(said)
    assert not [text for text in said if MARK in text or os.environ["PATH"] in text]


@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json", "tokenizer.json"])
@pytest.mark.parametrize(
    "content", [MARK, json.dumps([MARK]), json.dumps({"weight_map": {MARK: f"../{MARK}"}, MARK: MARK})]
)
def test_nothing_of_a_model_folder_is_quoted(site: Site, name: str, content: str) -> None:
    folder = site.folder / f"model-{uuid.uuid4().hex}"
    folder.mkdir()
    for part in ("config.json", "tokenizer.json", "processor_config.json"):
        (folder / part).write_text("{}")
    (folder / name).write_text(content)
    said = site.said("training", request_for("training", str(folder))) + str(problems(site, {"model": str(folder)}))
    assert "INVALID_ARGUMENT" in said
    assert MARK not in said


def test_a_token_that_a_model_folder_leads_to_is_not_imported(site: Site) -> None:
    outside = site.folder / "token-of-the-service"
    outside.write_text(MARK)
    folder = site.folder / "leading-out"
    folder.mkdir()
    for part in ("config.json", "tokenizer.json", "processor_config.json", "model.safetensors"):
        (folder / part).write_text("{}")
    (folder / "notes.txt").symlink_to(outside)
    (folder / "modeling.py").write_text(MARK)
    request = request_for("training", str(folder))
    assert "2 files and folders are no part of a checkpoint" in site.said("training", request)
    uri = await_operation(site.channels["training"], request.operation_id).result_uri
    assert len(read_manifest(site.objects, uri).files) == 4
    (folder / "vocab.txt").symlink_to(outside)
    said = site.said("training", request_for("training", str(folder)))
    assert "vocab.txt is a link that leads out" in said
    assert MARK not in said


WRONG_PATHS = [
    "//[", "file://[", "file://host/x", "file:relative", "file:///a%00b", "a\0b", "/a\0b", "relative", " ", "./x", "~/x", "",
    "/" + "x" * 100_000, "/" + "a/" * 50_000, "file:///" + "%2e%2e/" * 40 + "etc/passwd", "sha256:xyz", "sha256:" + "g" * 64,
    "http://host/x", "s3://bucket/key", "file:///%ff%fe", "/dev/zero", "/dev/stdin", "/etc/passwd", "\ud7ff\u202e\x1b[31m",
]  # fmt: skip


@pytest.mark.parametrize("path", WRONG_PATHS, ids=range(len(WRONG_PATHS)))
def test_a_path_that_is_none_is_the_callers_mistake_and_the_field_is_named(site: Site, path: str) -> None:
    for service, field in (("embedding", "source_uri"), ("evaluation", "items_uri"), ("training", "folder_uri")):
        kind, said = site.refusal(service, path)
        assert kind in ("INVALID_ARGUMENT", "NOT_FOUND", "PERMISSION_DENIED"), said
        assert field in said
    for key in ("pool", "dev", "model"):
        assert problems(site, {key: path}), key
    if "\0" not in path and len(path) <= 4096:  # other texts no request may hold
        assert problems(site, {}, base=path or "x")


@pytest.mark.parametrize("link", ["out", "/proc/self/root/etc/passwd"])
def test_what_lies_outside_the_roots_is_refused_at_once_and_not_looked_at(site: Site, link: str) -> None:
    if not link.startswith("/"):
        (site.folder / link).unlink(missing_ok=True)
        (site.folder / link).symlink_to("/etc/passwd")
    for path in (str(site.folder / link), "/etc/passwd", "/etc/no-such-file", f"{site.folder}/../../x"):
        for service in READING[:3]:
            assert site.refusal(service, path)[0] == "PERMISSION_DENIED"
        found = problems(site, {"pool": path, "dev": path, "model": path})
        assert {problem.message for problem in found} == {"It lies outside the folders that may be read."}
    assert {problem.message for problem in problems(site, {}, base="/etc")} == {
        "It lies outside the folders that may be read."
    }  # fmt: skip


def test_things_that_are_no_files_end_an_operation_and_do_not_hold_it(site: Site) -> None:
    folder = site.folder / "odd"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "pipe.tsv")
    (folder / "loop").symlink_to("loop")
    for name in ("pipe", "pipe.tsv", "loop", "."):
        for service in READING[:3]:
            kind, said = site.refusal(service, str(folder / name))
            assert kind in ("INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION"), said
        for key in ("pool", "dev", "model"):
            assert problems(site, {key: str(folder / name)})


def test_without_roots_a_service_of_the_network_reads_no_path_and_says_which_setting_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for service in READING:  # which another fixture of this module may have set
        monkeypatch.delenv(f"MEDQ_{service.upper()}_INPUT_ROOTS", raising=False)
    first = free_port(range(len(SERVICES)))
    with short_folder() as place:
        config = write_run_files(place / "run")
        (place / "run" / "run.yaml").write_text(config)
        targets = {name: f"0.0.0.0:{first + number}" for number, name in enumerate(SERVICES)}
        reached = {name: target.replace("0.0.0.0", "127.0.0.1") for name, target in targets.items()}
        with Embedded(place / "state", {"targets": targets}), Channels(reached) as channels:
            site = Site(channels, io.StringIO(), place / "run", FolderObjectStore(place / "state" / "objects"))
            for service in READING[:3]:
                kind, said = site.refusal(service, str(place / "run" / "pool"))
                assert kind == "PERMISSION_DENIED"
                assert "has no setting `input_roots`" in said
            assert all("input_roots" in problem.message for problem in problems(site, {}))
            request = controller_pb2.StartRunRequest(run_id="run", config_yaml=config, base_folder=str(place / "run"))
            with pytest.raises(grpc.RpcError) as caught:
                ControllerServiceStub(channels["controller"]).StartRun(request)
            assert "input_roots" in from_rpc_error(caught.value).message
