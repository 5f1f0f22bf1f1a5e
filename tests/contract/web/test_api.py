"""The REST API: what the stubs answer, as JSON, and a document that says so."""

from __future__ import annotations

import json

import jsonschema
import pytest
from fastapi.openapi.models import OpenAPI

from medq.controller.v1 import controller_pb2 as pb
from medq.operations.v1 import operations_pb2
from medq.operations.v1.operations_pb2_grpc import OperationsServiceStub
from shared.rpc.as_json import to_json
from shared.rpc.operations import await_operation
from shared.rpc.rights import Role
from tests.support.console_pages import OURS, console_of
from tests.support.controller_house import controller_stub, get_run, start, until
from tests.support.guarded import add_caller
from tests.support.run_files import write_run_files


@pytest.fixture
def ended(house):
    """Pages on a run that has ended, the stub, and the OpenAPI document."""
    with console_of(house) as (client, channel):
        start(channel, house, rounds=1)
        await_operation(channel, "r1")
        egress = pb.Egress(
            endpoint="e", host="h", model="m", purpose="oracle", key="k", text_sha256="0" * 64, n_bytes=5
        )
        controller_stub(channel).RecordEgress(pb.RecordEgressRequest(run_id="r1", request_id="q", egress=[egress]))
        yield client, channel, client.get("/api/openapi.json").json()


def check(document, path, method, answer):
    """An answer is what the document says."""
    schema = document["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(answer)


def test_each_route_answers_what_the_stub_answers(ended):
    client, channel, document = ended
    stub = controller_stub(channel)
    run_path = "/api/v1/runs/{run_id}"
    asked = {
        "/api/v1/runs": stub.ListRuns(pb.ListRunsRequest()),
        run_path: stub.GetRun(pb.GetRunRequest(run_id="r1")),
        f"{run_path}/operation": OperationsServiceStub(channel).GetOperation(
            operations_pb2.GetOperationRequest(operation_id="r1")
        ),
        f"{run_path}/report": stub.GetReport(pb.GetReportRequest(run_id="r1")),
        f"{run_path}/costs": stub.ListCosts(pb.ListCostsRequest(run_id="r1")),
        "/api/v1/egress": stub.ListEgress(pb.ListEgressRequest()),
    }
    for path, message in asked.items():
        answer = client.get(path.format(run_id="r1")).json()
        assert answer == to_json(message)
        check(document, path, "get", answer)
    assert client.get("/api/v1/runs/r1/report.json").json() == json.loads(asked[f"{run_path}/report"].report_json)


def test_pages_go_on_where_the_last_one_ended(ended):
    client, _, _ = ended
    whole = client.get("/api/v1/runs/r1/costs").json()["entries"]
    first = client.get("/api/v1/runs/r1/costs", params={"page_size": 2}).json()
    rest = client.get("/api/v1/runs/r1/costs", params={"page_token": first["next_page_token"]}).json()
    assert first["entries"] + rest["entries"] == whole


def test_the_step_at_work_is_told_as_its_service_tells_it(house):
    house.services.leave_to_people("annotate")
    with console_of(house, waiting_seconds=0) as (client, channel):
        start(channel, house, rounds=1)
        until(lambda: get_run(channel).state == "waiting")
        answer = client.get("/api/v1/runs/r1/step").json()
        check(client.get("/api/openapi.json").json(), "/api/v1/runs/{run_id}/step", "get", answer)
        assert answer["operation"]["operation_id"] == "r1/failure_driven/0/annotate"
        assert answer["operation"]["progress"]["message"] == "waiting for reviews: 12 of 40"
        house.services.release("annotate")
        await_operation(channel, "r1")
        assert client.get("/api/v1/runs/r1/step").status_code == 404


def test_a_run_is_checked_estimated_started_and_called_off(house):
    house.services.hold("annotate")
    with console_of(house) as (client, channel):
        document = client.get("/api/openapi.json").json()
        config = {"config_yaml": write_run_files(house.files, rounds=1), "base_folder": str(house.files)}
        stub = controller_stub(channel)
        validated = client.post("/api/v1/validate", json=config, headers=OURS).json()
        assert validated == to_json(stub.ValidateRun(pb.ValidateRunRequest(**config)))
        check(document, "/api/v1/validate", "post", validated)
        estimated = client.post("/api/v1/estimate", json=config, headers=OURS).json()
        assert estimated == to_json(stub.EstimateRun(pb.EstimateRunRequest(**config)))
        check(document, "/api/v1/estimate", "post", estimated)
        for _ in range(2):  # again it changes nothing
            started = client.post("/api/v1/runs", json={"run_id": "r1", **config}, headers=OURS).json()
            assert started == {"run_id": "r1"}
        until(lambda: get_run(channel).step == "annotate")
        cancelled = client.post("/api/v1/runs/r1/cancel", headers=OURS).json()
        check(document, "/api/v1/runs/{run_id}/cancel", "post", cancelled)
        until(lambda: get_run(channel).state == "cancelled")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "title"),
    [
        ("GET", "/api/v1/runs/nothing", None, 404, "NOT_FOUND"),
        ("GET", "/api/v1/runs?page_size=-1", None, 400, "INVALID_ARGUMENT"),
        ("GET", "/api/v1/runs?page_token=x", None, 400, "INVALID_ARGUMENT"),
        ("POST", "/api/v1/runs", {"run_id": 5}, 400, "INVALID_ARGUMENT"),
        ("POST", "/api/v1/runs", {"stranger": ""}, 400, "INVALID_ARGUMENT"),
        ("POST", "/api/v1/runs", [], 400, "INVALID_ARGUMENT"),
        ("POST", "/api/v1/estimate", {"config_yaml": "name: n"}, 400, "INVALID_ARGUMENT"),
    ],
)
def test_errors_are_problems(house, method, path, body, status, title):
    with console_of(house) as (client, _):
        answer = client.request(method, path, json=body, headers=OURS)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["title"], answer.json()["status"]) == (title, status)


def test_the_services_decide_who_may_start(house):
    callers = house.folder / "callers.yaml"
    reader, auth = add_caller(callers, "r", Role.READER), {"tokens_file": str(callers)}
    with console_of(house, auth=auth) as (client, _):
        bearer = {"authorization": f"Bearer {reader}"}
        assert client.get("/api/v1/runs").status_code == 401
        assert client.get("/api/v1/runs", headers=bearer).json() == {"runs": [], "next_page_token": ""}
        answer = client.post("/api/v1/runs", json={"run_id": "r1", "config_yaml": "name: n"}, headers=bearer)
    assert (answer.status_code, answer.json()["title"]) == (403, "PERMISSION_DENIED")


def test_the_document_is_openapi_and_names_nothing_that_is_not_in_it(house):
    with console_of(house) as (client, _):
        document = client.get("/api/openapi.json").json()
    OpenAPI.model_validate(document)
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    named = {text.partition('"')[0] for text in json.dumps(document).split('"#/components/schemas/')[1:]}
    assert named <= schemas.keys()
    run = schemas["medq.controller.v1.Run"]
    assert run["properties"].keys() == {field.name for field in pb.Run.DESCRIPTOR.fields}
