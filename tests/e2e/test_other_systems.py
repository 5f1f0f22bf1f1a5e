"""Six services that speak TLS and know their callers by tokens, one another included: a whole run by `medq`, and what others call
them with, as docs/clients.md has it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.finished_run import ARM, MEDQ, read_report
from tests.support.go_tools import go_tool, need_go
from tests.support.guarded import audit_lines
from tests.support.pictures import write_pool
from tests.support.secured_services import ROOT, Site, secured_services, write_site
from tests.support.tiny_study import N_ROUNDS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = write_site(tmp_path_factory.mktemp("secured") / "site")
    with secured_services(made):
        yield made


def _medq(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MEDQ, *map(str, arguments), "--json"], capture_output=True, text=True, check=False, timeout=800
    )


def test_an_operator_runs_the_loop_through_secured_services(site: Site, study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused = _medq("run", "--config", study / "run.yaml", "--out", out, *site.arguments("reader"))
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["error"]["reason"] == "PERMISSION_DENIED"
    done = _medq("run", "--config", study / "run.yaml", "--out", out, *site.arguments("operator"))
    assert done.returncode == 0, done.stderr + site.log.read_text()[-3000:]
    rounds = read_report(out)["arms"][ARM]["rounds"]
    assert len(rounds) == N_ROUNDS + 1
    told = _medq("status", "--out", out, *site.arguments("reader"))
    assert [run["state"] for run in json.loads(told.stdout)["runs"]] == ["succeeded"]
    _check_audit(site)


def _check_audit(site: Site) -> None:
    """What each caller did stands in the log: the person began the run, the services did the rest."""
    lines = audit_lines(site.log)
    done = Counter((line["caller"], str(line["method"]).split("/")[2], line["decision"]) for line in lines)
    assert done["the reader", "StartRun", "denied"] == 1
    assert done["the operator", "StartRun", "allowed"] == 1
    by_services = {method for caller, method, decision in done if (caller, decision) == ("the service", "allowed")}
    steps = ("StartIngest", "StartEvaluate", "StartMineFailures", "StartSelectSamples", "StartAnnotate", "StartTrain")
    assert by_services >= {*steps, "StartGenerate", "ReserveCosts", "SettleCosts"}
    assert not [line for line in lines if line["decision"] == "denied" and line["caller"] != "the reader"]
    log = site.log.read_text()
    assert not any(file.read_text().strip() in log for file in site.tokens.values())


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a client's author has: the protos and the examples of a fresh clone, and some images."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("protos", "examples"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("gen"))
    shutil.copy(ROOT / "buf.yaml", folder)
    write_pool(folder / "images", 3)
    return folder


def _commands(section: str) -> str:
    """The shell commands of a section of the page."""
    page = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    return "".join(re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))


def _run(script: str, clone: Path, site: Site, role: str, *folders: Path) -> subprocess.CompletedProcess[str]:
    """Run commands of the page as a caller of this role."""
    environment = {
        **os.environ,
        "PATH": ":".join([*map(str, folders), str(MEDQ.parent), os.environ["PATH"]]),
        "PYTHONPATH": "",
        "SERVER": site.server,
        "EMBEDDING": site.targets["embedding"],
        "CA": str(site.ca_file),
        "TOKEN_FILE": str(site.tokens[role]),
        "IMAGES": str(clone / "images"),
    }
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=clone, env=environment, capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip


def _check_client(script: str, clone: Path, site: Site, *folders: Path) -> None:
    """An example ingests, and tells a caller without the right what it lacks."""
    done = _run(script, clone, site, "operator", *folders)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^done sha256:[0-9a-f]{64}$", done.stdout, re.MULTILINE), done.stdout
    denied = _run(script, clone, site, "reader", *folders)
    assert denied.returncode != 0
    assert "PERMISSION_DENIED: The caller has no right to this call." in denied.stderr
    assert "operator" in denied.stderr


def test_the_python_client_of_the_page_works(site: Site, clone: Path) -> None:
    _check_client(_commands("Python"), clone, site)


def test_the_go_client_of_the_page_works(site: Site, clone: Path) -> None:
    need_go()
    ready = _run("cd examples/clients/go && go mod download", clone, site, "reader")
    if ready.returncode != 0:
        pytest.skip("the Go example's modules are not to be had here")
    _check_client(_commands("Go"), clone, site)


def test_the_grpcurl_commands_of_the_page_work(site: Site, clone: Path) -> None:
    grpcurl = go_tool("grpcurl", "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3")
    done = _run(_commands("grpcurl"), clone, site, "operator", grpcurl.parent)
    assert done.returncode == 0, done.stderr
    assert "medq.controller.v1.ControllerService" in done.stdout
    assert '"operation_id": "example/grpcurl"' in done.stdout
    denied = _run(_commands("grpcurl"), clone, site, "reader", grpcurl.parent)
    assert "PermissionDenied" in denied.stderr
    assert "google.rpc.ErrorInfo" in denied.stderr


def test_the_command_of_the_page_works(site: Site, clone: Path) -> None:
    done = _run(_commands("The command itself"), clone, site, "reader")
    assert done.returncode == 0, done.stderr
    assert "runs" in json.loads(done.stdout)
