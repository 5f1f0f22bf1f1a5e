"""docs/adding-a-service.md, followed on a copy of the repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.new_service import ROOT, add_service

_CALL = """
import sys, grpc
from medq.triage.v1 import triage_pb2 as pb, triage_pb2_grpc as pb_grpc
from medq.operations.v1 import operations_pb2 as ops, operations_pb2_grpc as ops_grpc
from shared.rpc.channels import Channels
from shared.status import from_rpc_error
from shared.rpc.operations import await_operation
channel = Channels({"triage": sys.argv[1]})["triage"]
stub = pb_grpc.TriageServiceStub(channel)
assert stub.CountWords(pb.CountWordsRequest(text="two words")).n_words == 2
try:
    stub.CountWords(pb.CountWordsRequest())
except grpc.RpcError as error:
    assert from_rpc_error(error).field == "text"
else:
    raise SystemExit("an empty text was taken")
stub.StartCount(pb.StartCountRequest(operation_id="a", texts=["one", "two words"]))
uri = await_operation(channel, "a").result_uri
pieces = ops_grpc.OperationsServiceStub(channel).DownloadDataset(ops.DownloadDatasetRequest(uri=uri))
sys.stdout.write(b"".join(piece.chunk for piece in pieces).decode())
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What a service stands on, copied."""
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in ("shared", "infra", "protos"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignore)
    (tmp_path / "services").mkdir()
    shutil.copy(ROOT / "services" / "__init__.py", tmp_path / "services")
    return tmp_path


def _add_kind(copy: Path) -> None:
    """Step 3, with the two lines that the page gives."""
    page = (ROOT / "docs" / "adding-a-service.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n +(from .*)\n +(.*)\n +```", page)
    assert found
    path = copy / "shared" / "rows" / "kinds.py"
    text = path.read_text(encoding="utf-8")
    table = "KINDS: Mapping[str, Kind] = {\n"
    assert table in text
    text = text.replace("from shared.rows.training", f"{found[1]}\nfrom shared.rows.training")
    path.write_text(text.replace(table, table + f"    {found[2]}\n"), encoding="utf-8")


def _environment(copy: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{copy}:{copy / 'shared' / 'gen'}", **more}


def test_a_service_from_the_template_serves(copy: Path) -> None:
    add_service("triage", copy)
    subprocess.run(
        [sys.executable, "-m", "infra.protos"], cwd=copy, env=_environment(copy), check=True, capture_output=True
    )
    _add_kind(copy)
    target = "127.0.0.1:0"
    server = subprocess.Popen(
        [sys.executable, "-m", "services.triage"],
        cwd=copy,
        env=_environment(copy, MEDQ_TRIAGE_LISTEN=target, MEDQ_TRIAGE_STATE_FOLDER=str(copy / "state")),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        bound = _bound_target(server)
        called = subprocess.run(
            [sys.executable, "-c", _CALL, bound],
            cwd=copy,
            env=_environment(copy),
            capture_output=True,
            text=True,
            check=False,
        )
        assert called.returncode == 0, called.stderr
        assert called.stdout == '{"n_words": 1, "position": 0}\n{"n_words": 2, "position": 1}\n'
    finally:
        server.terminate()
        _, rest = server.communicate(timeout=30)
    assert server.returncode == 0
    assert "drained" in rest


def _bound_target(server: subprocess.Popen[str]) -> str:
    """The target that the server's log names once it serves."""
    import json

    assert server.stderr is not None
    for line in server.stderr:
        if '"event": "serving"' in line:
            return str(json.loads(line)["target"])
    raise AssertionError("the server ended before it served")


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_what_is_written_passes_the_linter(copy: Path, command: list[str]) -> None:
    shutil.copy(ROOT / "pyproject.toml", copy)
    written = [path for path in add_service("triage", copy) if path.suffix == ".py"]
    ended = subprocess.run(
        [sys.executable, "-m", "ruff", *command, *written], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout


def test_what_is_there_is_not_overwritten(copy: Path) -> None:
    add_service("triage", copy)
    with pytest.raises(SystemExit, match="is there already"):
        add_service("triage", copy)


@pytest.mark.parametrize("name", ["Triage", "my-service", "x", ""])
def test_a_name_of_another_form_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="lower-case noun"):
        add_service(name, tmp_path)
