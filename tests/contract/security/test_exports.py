"""Every way by which annotations or images leave has its audit line: who, what, when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from cli.commands.review import write_pictures
from medq.oracle.v1 import review_pb2 as pb
from shared.rpc.operations import await_operation
from shared.rpc.rights import Role, is_audited
from tests.support.console_pages import OURS, console_of
from tests.support.controller_house import House, start
from tests.support.guarded import add_caller, audit_lines, audited, product_methods
from tests.support.review_pages import review_house
from tests.support.servers import short_folder

#: What holds an annotation, beside the pieces of pictures and data sets.
HOLDERS = {"medq.oracle.v1.ReviewTask", "medq.controller.v1.DecisionFacts", "medq.controller.v1.GetReportResponse"}


def gives_away(message: Descriptor, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a message, or one in it, holds annotations or a piece of a file."""
    if message.full_name in HOLDERS:
        return True
    inner = [field for field in message.fields if field.type == FieldDescriptor.TYPE_MESSAGE]
    known = seen | {message.full_name}
    return any(field.name == "chunk" for field in message.fields) or any(
        gives_away(field.message_type, known) for field in inner if field.message_type.full_name not in known
    )


def test_each_call_whose_answer_holds_annotations_or_images_is_audited() -> None:
    found = {name for name, method in product_methods().items() if gives_away(method.output_type)}
    assert {name for name in found if not is_audited(name)} == set()
    assert {name.rpartition("/")[2] for name in found} >= {
        "DownloadDataset", "GetReport", "GetLineage", "ListTasks", "GetTask", "GetTaskImage", "LeaseTasks", "DecideTask",
    }  # fmt: skip


def told(log: Any, service: str) -> list[tuple[object, ...]]:
    """Who, what and about what of each line of a service."""
    lines = [line for line in audit_lines(log) if line["service"] == service and line["event"] == "call"]
    assert all(line["timestamp"] and line["peer"] for line in lines)
    about = ("run_id", "task_id", "image_uri", "uri")
    return [
        (line["caller"], str(line["method"]).rpartition("/")[2], *(line[name] for name in about if name in line))
        for line in lines
    ]


def test_tasks_and_pictures_leave_with_a_line_of_the_service_and_of_the_pages(tmp_path: Path) -> None:
    with short_folder() as folder, review_house(folder) as house, audited() as log:
        entry = house.put_choices(1)[0]
        task, image = entry.task_id, entry.asked.question.image_uri
        ann = house.stub("ann", Role.READER)
        tasks = ann.ListTasks(pb.ListTasksRequest(run_id="run")).tasks
        ann.GetTask(pb.GetTaskRequest(task_id=task))
        write_pictures(ann, tasks, tmp_path, tmp_path / "r.csv")
        bob = TestClient(house.app(), base_url=house.url, headers={"origin": house.url})
        bob.post("/login", data={"token": house.token("bob", Role.REVIEWER)}, follow_redirects=False)
        bob.post("/api/review/lease", json={"count": 1})
        assert bob.get(f"/api/review/tasks/{task}/images/{image.removeprefix('sha256:')}").status_code == 200
        body = {"revision": 1, "action": "accept", "active_seconds": 1}
        assert bob.post(f"/api/review/tasks/{task}/decide", json=body).status_code == 200
    by_pages = [("bob", "LeaseTasks"), ("bob", "GetTaskImage", task, image), ("bob", "DecideTask", task)]
    by_command = [("ann", "ListTasks", "run"), ("ann", "GetTask", task), ("ann", "GetTaskImage", task)]
    assert told(log, "oracle") == [*by_command, *by_pages]
    assert told(log, "web") == by_pages


def test_reports_lineage_and_data_sets_leave_with_a_line_of_the_service_and_of_the_pages(tmp_path: Path) -> None:
    callers = tmp_path / "callers.yaml"
    token = add_caller(callers, "olga", Role.OPERATOR)
    with short_folder() as folder, audited() as log:
        house = House(folder)
        with console_of(house) as (_, channel):
            start(channel, house, rounds=1)
            await_operation(channel, "r1")
        with console_of(house, auth={"tokens_file": str(callers)}) as (client, _):
            client.post("/login", data={"token": token}, headers=OURS, follow_redirects=False)
            for path in ("/runs/r1", "/runs/r1/report.html", "/api/v1/runs/r1/report.json"):
                assert client.get(path).status_code == 200
            client.get("/api/v1/runs/r1/lineage")
        house.server.stop(0).wait()
    found = told(log, "web")[-5:]
    assert [one[:3] for one in found if one[1] != "DownloadDataset"] == [
        ("olga", "GetReport", "r1"), ("olga", "GetReport", "r1"), ("olga", "GetReport", "r1"), ("olga", "GetLineage", "r1"),
    ]  # fmt: skip
    assert [one[:2] for one in found if one[1] == "DownloadDataset"] == [("olga", "DownloadDataset")]
    assert told(log, "controller")[-5:] == found
