"""The review page and its API on a real queue: who may do what, what is done once, and that hostile texts stay texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from shared.rpc.rights import Role
from tests.support.review_pages import START_TOKEN, ReviewHouse, review_house
from tests.support.reviews import queue_entry
from tests.support.servers import short_folder

HOSTILE = "<script>alert(1)</script>\" onload='x' </option>"


@pytest.fixture
def house() -> Iterator[ReviewHouse]:
    with short_folder() as folder, review_house(folder) as house:
        yield house


def client(house: ReviewHouse, name: str = "", role: Role = Role.REVIEWER) -> TestClient:
    """A browser of somebody who is logged in; of nobody where no name is given."""
    found = TestClient(house.app(), base_url=house.url, follow_redirects=False, raise_server_exceptions=False)
    found.headers["origin"] = house.url
    if name:
        assert found.post("/login", data={"token": house.token(name, role), "next": "/review"}).status_code == 303
    return found


def lease(browser: TestClient, count: int = 3) -> Any:
    return browser.post("/api/review/lease", json={"count": count}).json()


def decide(browser: TestClient, task: dict[str, Any], **changes: Any) -> Any:
    body = {"revision": task["revision"], "action": "accept", "active_seconds": 7.5, **changes}
    return browser.post(f"/api/review/tasks/{task['task_id']}/decide", json=body)


def test_a_reviewer_takes_tasks_in_hand_and_decides_in_their_own_name(house: ReviewHouse) -> None:
    house.put_choices(4)
    ann = client(house, "ann")
    found = lease(ann)
    assert (len(found["tasks"]), found["undoable"], found["seconds"]) == (3, None, 300)
    task = found["tasks"][0]
    assert (task["options"]["B"], task["proposal"], task["reviewer"]) == ("Ring artifact", "B", "ann")
    assert task["self_annotation"] == {"answer": "C", "entropy": 0.25}
    answer = decide(ann, task, action="edit", answer="C")
    assert (answer.status_code, answer.json()["is_new"]) == (200, True)
    verdict = house.queue.find(task["task_id"]).verdict
    assert verdict is not None
    assert (verdict.action, verdict.answer, verdict.active_seconds, verdict.reviewer) == ("edit", "C", 7.5, "ann")
    assert ann.get("/api/review/counts", params={"run_id": "run"}).json() == {
        "open": 3, "leased": 2, "decided": 1, "closed": 0, "withdrawn": 0,
    }  # fmt: skip


def test_two_reviewers_never_get_the_same_task(house: ReviewHouse) -> None:
    house.put_choices(5)
    ann, bob = client(house, "ann"), client(house, "bob")
    hers, his = ({task["task_id"] for task in lease(one)["tasks"]} for one in (ann, bob))
    assert (len(hers), len(his), hers & his) == (3, 2, set())
    answer = decide(bob, {"task_id": min(hers), "revision": 1})
    assert (answer.status_code, answer.json()["detail"]) == (400, "Somebody else has this task in hand.")


def test_a_decision_that_is_sent_again_is_made_once_and_another_one_is_refused(house: ReviewHouse) -> None:
    house.put_choices(1)
    ann = client(house, "ann")
    task = lease(ann)["tasks"][0]
    assert [decide(ann, task).json()["is_new"] for _ in range(3)] == [True, False, False]
    answer = decide(ann, task, action="reject", reason="Too dark.")
    assert (answer.status_code, answer.json()["title"]) == (409, "ALREADY_EXISTS")


def test_a_decision_is_taken_back_and_a_task_given_back(house: ReviewHouse) -> None:
    house.put_choices(2)
    ann = client(house, "ann")
    first, second = lease(ann)["tasks"]
    decide(ann, first)
    assert lease(ann)["undoable"]["task_id"] == first["task_id"]
    back = ann.post(f"/api/review/tasks/{first['task_id']}/undo", json={"revision": 1}).json()
    assert (back["is_new"], back["task"]["revision"], back["task"]["decision"]) == (True, 2, None)
    released = ann.post(f"/api/review/tasks/{second['task_id']}/release", json={}).json()
    assert (released["is_released"], released["task"]["reviewer"]) == (True, "")


@pytest.mark.parametrize("path", ["lease", "tasks/{0}/decide", "tasks/{0}/undo", "tasks/{0}/release"])
def test_only_a_reviewer_from_our_own_page_changes_anything(house: ReviewHouse, path: str) -> None:
    task_id = house.put_choices(1)[0].task_id
    path = "/api/review/" + path.format(task_id)
    body = {
        "lease": {"count": 1},
        "decide": {"revision": 1, "action": "accept", "active_seconds": 1},
        "undo": {"revision": 1},
    }
    sent: Any = {"json": body.get(path.rsplit("/", 1)[1], {})}
    answer = client(house).post(path, **sent)
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert client(house, "rita", Role.READER).post(path, **sent).status_code == 403
    ann = client(house, "ann")
    for origin in ("https://elsewhere.test", "null", ""):
        assert ann.post(path, **sent, headers={"origin": origin}).status_code == 403
    assert house.tasks()[0].reviewer == ""
    assert house.tasks()[0].verdict is None


def test_what_one_person_decided_is_never_sent_in_the_name_of_another(house: ReviewHouse) -> None:
    house.put_choices(1)
    bob = client(house, "bob", Role.OPERATOR)
    task = lease(bob)["tasks"][0]
    for answer in (
        decide(bob, task, reviewer="ann"),
        bob.post("/api/review/lease", json={"count": 1, "reviewer": "ann"}),
    ):
        assert (answer.status_code, answer.json()["field"]) == (403, "reviewer")
    assert decide(bob, task, reviewer="bob").status_code == 200


_OUT_OF_BOUNDS: list[dict[str, Any]] = [
        {"revision": 0}, {"revision": 2**31}, {"action": "close"}, {"active_seconds": -1}, {"active_seconds": 86_401},
        {"active_seconds": "NaN"}, {"answer": "x" * 20_001}, {"action": "reject"}, {"action": "edit", "answer": "Z"},
        {"action": "accept", "answer": "A"}, {"other": 1}, {"reason": "x" * 2_001}, {"reviewer": "x" * 201},
]  # fmt: skip


def test_a_decision_out_of_bounds_is_refused_with_the_reason(house: ReviewHouse) -> None:
    house.put_choices(1)
    ann = client(house, "ann")
    task = lease(ann)["tasks"][0]
    for changes in _OUT_OF_BOUNDS:
        answer = decide(ann, task, **changes)
        assert (answer.status_code, answer.json()["title"]) == (400, "INVALID_ARGUMENT"), changes
    assert house.tasks()[0].verdict is None


@pytest.mark.parametrize("path", ["lease", "tasks/x/decide", f"tasks/{'0' * 32}/decide", f"tasks/{'0' * 32}/undo"])
def test_what_is_no_request_is_refused(house: ReviewHouse, path: str) -> None:
    ann, headers = client(house, "ann"), {"content-type": "application/json"}
    for body in ("", "[]", "{", '{"count": 0}', '{"count": 21}', "null", "[" * 10_000):
        assert ann.post(f"/api/review/{path}", content=body, headers=headers).status_code == 400


def test_a_picture_comes_whole_and_is_kept_by_this_browser_alone(house: ReviewHouse) -> None:
    uri, near = house.picture(1, side=700), house.picture(2)
    entry = queue_entry(image_uri=uri, clean_neighbours=(near,))
    house.put([entry])
    reader = client(house, "rita", Role.READER)

    def get(uri: str, **headers: str) -> Any:
        return reader.get(f"/api/review/tasks/{entry.task_id}/images/{uri.removeprefix('sha256:')}", headers=headers)

    answer = get(uri)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.content == house.objects.read_bytes(uri)
    assert answer.headers["cache-control"] == "private, max-age=3600, immutable"
    assert "Cookie" in answer.headers["vary"]
    again = get(uri, **{"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert get(near).status_code == 200
    assert get(house.picture(3)).status_code == 404
    assert get("x").status_code == 400
    reader.cookies.clear()
    assert get(uri, **{"if-none-match": answer.headers["etag"]}).status_code == 401


def test_hostile_texts_stay_texts(house: ReviewHouse) -> None:
    house.put_choices(1, question=HOSTILE, options={"B": HOSTILE}, modality=HOSTILE, route_reason=HOSTILE)
    ann = client(house, HOSTILE)
    page = ann.get("/review")
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text
    answer = ann.post("/api/review/lease", json={"count": 1})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["tasks"][0]["question"] == HOSTILE


def test_the_page_has_nothing_inline_and_what_it_names_is_there(house: ReviewHouse) -> None:
    ann = client(house, "ann")
    text = ann.get("/review").text
    assert not re.search(r"\sstyle=|\son\w+=|<script(?! type=\"module\" src)", text)
    named = re.findall(r"(?:src|href)=\"(/static/[^\"]+)\"", text)
    assert "/static/review.js" in named
    while named:
        path = named.pop()
        script = ann.get(path)
        assert script.status_code == 200, path
        named += [f"/static/{path}" for path in re.findall(r"from \"\./(review/[\w.]+)\"", script.text)]


def test_without_the_service_the_script_is_told_that_it_is_away(house: ReviewHouse) -> None:
    house.put_choices(1)
    ann = client(house, "ann")
    task = lease(ann)["tasks"][0]
    house.stop()
    assert decide(ann, task).status_code in (503, 504)
    house.start()
    assert decide(ann, task).status_code == 200


def test_embedded_the_one_person_who_has_the_token_decides_under_their_name() -> None:
    with short_folder() as folder, review_house(folder, is_embedded=True) as house:
        house.put_choices(1)
        ann = client(house)
        assert ann.post("/api/review/lease", json={"count": 1}).status_code == 401
        assert ann.get("/login", params={"token": START_TOKEN}).status_code == 303
        assert decide(ann, lease(ann)["tasks"][0]).status_code == 200
        verdict = house.tasks()[0].verdict
    assert verdict is not None
    assert verdict.reviewer == "ann"


def test_the_calls_of_the_page_are_in_the_openapi_document(house: ReviewHouse) -> None:
    paths = client(house).get("/api/openapi.json").json()["paths"]
    found = {path for path in paths if path.startswith("/api/review/")}
    of_task = {
        f"/api/review/tasks/{{task_id}}/{one}"
        for one in ("decide", "undo", "release", "images/{digest}", "images/{digest}/levels")
    }
    assert found == {"/api/review/lease", "/api/review/counts", *of_task}
