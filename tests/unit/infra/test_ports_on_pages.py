"""Every page names the ports that the code uses: of one machine those of `make up`, of an image those that it exposes."""

import re
from functools import cache
from pathlib import Path

import pytest

from infra.dev.deployment import FIRST_PORT, REPLICATED, Deployment, Servers
from shared.settings import SERVICES

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "services/*/README.md", "charts/*/README.md")
    for path in ROOT.glob(pattern)
)
_SERVERS = Servers("127.0.0.1:9092", "http://key:secret@127.0.0.1:9000", "postgresql://user@127.0.0.1:5432/other")
_NAMED = (
    r"^\| (?P<service>[a-z]+) \| (?P<port>\d{5}) \|",
    r"MEDQ_(?P<service>[A-Z]+)_LISTEN=127\.0\.0\.1:(?P<port>\d+)",
    r'"(?P<service>[a-z]+)": "127\.0\.0\.1:(?P<port>\d+)"',
    r"127\.0\.0\.1:(?P<port>\d+)\s+medq\.(?P<service>[a-z]+)\.v1\.",
)


@cache
def ports(**replicas: int) -> dict[str, int]:
    """Name of each process of one machine to the port of its calls."""
    deployment = Deployment(Path("up"), "mine", _SERVERS, FIRST_PORT, replicas)
    return {one.name: int(one.address.rsplit(":", 1)[1]) for one in deployment.processes()}


def exposed() -> list[int]:
    """The ports of an image: calls, health, metrics."""
    text = (ROOT / "infra" / "images" / "Dockerfile").read_text(encoding="utf-8")
    (line,) = re.findall(r"^EXPOSE (.+)$", text, re.MULTILINE)
    return [int(port) for port in line.split()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_port_beside_the_name_of_a_service_is_its_own(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = {(m["service"].lower(), int(m["port"])) for named in _NAMED for m in re.finditer(named, text, re.M)}
    of_operations = {port for service, port in found if service == "operations"}
    known = ports()
    assert {(name, port) for name, port in found if name != "operations"} <= {
        (service, known[f"{service}-1"]) for service in SERVICES
    }
    own = {known[f"{page.parent.name}-1"]} if page.parent.name in SERVICES else set(known.values())
    assert of_operations <= own


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_names_a_port_that_nothing_listens_on(page: Path) -> None:
    known = {*ports(**dict.fromkeys(REPLICATED, 2)).values(), *exposed()}
    assert {int(port) for port in re.findall(r"\b50\d{3}\b", page.read_text(encoding="utf-8"))} <= known


def test_the_page_of_deployment_names_the_ports_of_an_image() -> None:
    page = " ".join((ROOT / "docs" / "deployment.md").read_text(encoding="utf-8").split())
    calls, health, pages, metrics = exposed()
    assert f"gRPC {calls}, health {health}, metrics {metrics}" in page
    assert f"of the pages http(s) {pages}" in page
