"""Grey levels on their way to the review page: whole, of the pictures of a task alone, to who is logged in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from shared.rpc.rights import Role
from tests.support.pictures import dicom, picture, png
from tests.support.review_pages import ReviewHouse, review_house
from tests.support.reviews import queue_entry
from tests.support.servers import short_folder

CT = np.random.default_rng(0).integers(0, 4096, (600, 500)).astype(np.uint16)
TAGS = {"RescaleSlope": "1", "RescaleIntercept": "-1024", "WindowCenter": 40, "WindowWidth": 400}


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


def get(browser: TestClient, task_id: str, uri: str, **headers: str) -> Any:
    path = f"/api/review/tasks/{task_id}/images/{uri.removeprefix('sha256:')}/levels"
    return browser.get(path, headers=headers)


def test_levels_come_whole_with_what_they_are_worth_and_are_kept_by_this_browser_alone(house: ReviewHouse) -> None:
    deep, flat, another = house.take_in(dicom(CT, **TAGS), png(picture(1)), dicom(CT[:100], **TAGS))
    entry = queue_entry(image_uri=deep, clean_neighbours=(flat,))
    house.put([entry])
    ann = client(house, "ann")
    answer = get(ann, entry.task_id, deep)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/octet-stream")
    scale = json.loads(answer.headers["medq-grey-scale"])
    assert scale == {
        "width": 500, "height": 600, "low": -1024.0, "step": 1.0, "is_inverted": False, "unit": "HU",
        "window_function": "linear", "window_center": 40.0, "window_width": 400.0,
    }  # fmt: skip
    levels = np.frombuffer(answer.content, "<u2").reshape(600, 500)
    np.testing.assert_array_equal(scale["low"] + scale["step"] * levels, CT.astype(int) - 1024)
    assert answer.headers["cache-control"] == "private, max-age=3600, immutable"
    assert "Cookie" in answer.headers["vary"]
    again = get(ann, entry.task_id, deep, **{"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")

    of_8_bits = get(ann, entry.task_id, flat)
    assert (of_8_bits.status_code, of_8_bits.content) == (204, b"")
    assert of_8_bits.headers["cache-control"] == "no-store"  # the file may be taken in again
    of_no_task = get(ann, entry.task_id, another)
    assert (of_no_task.status_code, of_no_task.json()["detail"]) == (404, "The task does not show this image.")
    assert get(ann, "0" * 32, deep).status_code == 404
    assert get(ann, entry.task_id, "x").status_code == 400

    assert get(client(house, "rita", Role.READER), entry.task_id, deep).status_code == 200
    assert get(client(house), entry.task_id, deep).status_code == 401
    ann.cookies.clear()
    assert get(ann, entry.task_id, deep, **{"if-none-match": answer.headers["etag"]}).status_code == 401


def test_without_an_embedding_service_pictures_have_8_bits(house: ReviewHouse) -> None:
    entry = house.put_choices(1)[0]
    answer = get(client(house, "ann"), entry.task_id, entry.asked.question.image_uri)
    assert (answer.status_code, answer.content) == (204, b"")
