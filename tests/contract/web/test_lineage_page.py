"""Lineage on a page and in the REST API: a sample back to its errors, an error forward, data sets and models."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
from fastapi.testclient import TestClient

from medq.controller.v1 import controller_pb2 as pb
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from services.resting import resting
from shared.rpc.as_json import to_json
from shared.rpc.channels import Channels
from tests.support.console_pages import START, URL
from tests.support.followed_run import followed_run
from web.app import create_app
from web.settings import WebSettings

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def resting_pages(tmp_path: Path):
    """Pages on a run that no process works on, and its controller's stub."""
    with (
        followed_run(tmp_path / "out", question=HOSTILE) as run,
        resting(run.out / "state") as targets,
        Channels(targets) as channels,
    ):
        client = TestClient(create_app(WebSettings(), channels, start_token=START, owner="ann"), base_url=URL)
        client.get("/login", params={"token": START}, follow_redirects=False)
        yield client, ControllerServiceStub(channels["controller"])


def test_a_sample_leads_back_to_its_errors_and_an_error_forward_to_its_samples(resting_pages):
    client, _ = resting_pages
    back = client.get("/runs/run/lineage", params={"sample_id": "d0"}).text
    assert '<a href="/runs/run/lineage?item_id=17">17</a>' in back
    assert "trained on" in back
    forward = client.get("/runs/run/lineage", params={"item_id": "17"}).text
    assert '<a href="/runs/run/lineage?sample_id=sample-0">sample-0</a>' in forward
    assert HOSTILE not in back
    assert "&lt;script&gt;" in back


@pytest.mark.parametrize("asked", [{"sample_id": HOSTILE}, {"item_id": HOSTILE}, {"sample_id": "d0", "item_id": "17"}])
def test_what_the_run_does_not_know_is_told(resting_pages, asked):
    answer = resting_pages[0].get("/runs/run/lineage", params=asked)
    assert answer.status_code == 200
    assert 'class="notice" role="alert"' in answer.text
    assert HOSTILE not in answer.text


def test_the_api_answers_the_same(resting_pages):
    client, stub = resting_pages
    document = client.get("/api/openapi.json").json()
    schema = {
        "$ref": "#/components/schemas/medq.controller.v1.GetLineageResponse",
        "components": document["components"],
    }
    for asked in ({"sample_id": "d0"}, {"item_id": "17"}):
        answer = client.get("/api/v1/runs/run/lineage", params=asked).json()
        assert answer == to_json(stub.GetLineage(pb.GetLineageRequest(run_id="run", **asked)))
        jsonschema.Draft202012Validator(schema).validate(answer)
