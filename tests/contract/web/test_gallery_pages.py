"""Galleries in the console: pages, their pictures, the REST API; whatever names and texts say, and however many were drawn."""

from __future__ import annotations

import io
import re
from types import SimpleNamespace

import jsonschema
import pytest
from PIL import Image

from medq.controller.v1 import controller_pb2 as pb
from shared.rpc.as_json import to_json
from shared.rpc.operations import await_operation
from shared.rpc.rights import Role
from tests.support.console_pages import console_of
from tests.support.controller_house import House, controller_stub, start
from tests.support.gallery_world import HOSTILE, HOSTILE_CELL, fill_galleries
from tests.support.guarded import add_caller
from tests.support.servers import short_folder
from web.console.galleries import told_image

MOST_BYTES = 500_000
SEARCH = "/runs/r1/prototypes/search"
ROUND = {"arm": "failure_driven", "round": 0}
CELL = {"arm": "failure_driven", "modality": "ct", "value": "metal_artifact"}


def words(html):
    return " ".join(re.sub("<[^>]*>", " ", html).split())


def pictures(html):
    return re.findall(r'<img[^>]* src="([^"]+)"', html)


@pytest.fixture(scope="module")
def ended():
    with short_folder() as folder:
        house = House(folder)
        fill_galleries(house.services)
        with console_of(house) as (client, channel):
            start(channel, house, rounds=1)
            await_operation(channel, "r1")
            yield SimpleNamespace(client=client, stub=controller_stub(channel))
        house.server.stop(0).wait()


def test_a_round_shows_each_search_with_what_failed_and_what_was_drawn(ended):
    html = ended.client.get("/runs/r1/prototypes").text
    told = words(html)
    assert "1,000 images drawn by 2 searches" in told
    assert "6 images failed, 997 drawn; prototype p000" in told
    assert "Is it sharp? 2" in told
    assert "base model wrong B: Motion" in told
    assert "right is C: Metal" in told
    assert "similarity 0.91 contrast 0.25 trained on" in told
    assert '<a href="/runs/r1/lineage?sample_id=sample-0">' in html
    assert '<a href="/runs/r1/lineage?item_id=i2">' in html
    assert "simulated:" in told
    assert len(pictures(html)) == (3 + 8) + (1 + 3)


def test_pictures_are_loaded_late_have_their_size_and_a_text_instead(ended):
    html = ended.client.get("/runs/r1/prototypes").text
    found = re.findall("<img[^>]*>", html)
    assert all(f' {said}"' in one for one in found for said in ('loading="lazy', 'width="128', 'height="128'))
    assert all(re.search(' alt="[^"]+"', one) for one in found)


def test_a_search_shows_everything_that_it_drew_in_pages_none_of_which_is_large(ended):
    href, seen = f"?{'&amp;'.join(['arm=failure_driven', 'round=0', 'name=p000'])}", []
    while href:
        answer = ended.client.get(SEARCH + href.replace("&amp;", "&"))
        assert len(answer.content) < MOST_BYTES
        seen += re.findall(r"sample_id=(sample-\d+)", answer.text)
        href = next(iter(re.findall(r'href="(\?[^"]+drawn_from=[^"#]+)', answer.text)), "")
    assert seen == [f"sample-{n}" for n in range(997)]


@pytest.mark.parametrize(
    "path",
    [
        "/runs/r1",
        "/runs/r1/prototypes",
        f"{SEARCH}?arm=failure_driven&round=0&name=p000",
        "/runs/r1/cells?arm=failure_driven&modality=ct&value=metal_artifact",
        "/runs/r1/lineage",
    ],
)
def test_no_name_and_no_text_becomes_a_part_of_a_page_and_no_page_is_large(ended, path):
    answer = ended.client.get(path)
    assert answer.status_code == 200
    assert len(answer.content) < MOST_BYTES
    assert "<script>alert" not in answer.text
    assert not re.search(r"""=(["'])[^"'<>]*<script>""", answer.text)


def test_a_search_with_a_hostile_name_has_its_page(ended):
    answer = ended.client.get(SEARCH, params={**ROUND, "name": HOSTILE_CELL})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert "3 images" in words(answer.text)


def test_a_cell_of_the_map_leads_to_its_dev_images_the_worst_first(ended):
    html = ended.client.get("/runs/r1").text
    href = "/runs/r1/cells?arm=failure_driven&amp;modality=ct&amp;value=metal_artifact"
    assert re.search(f'<svg[^>]*role="group"[^>]*>.*<a href="{re.escape(href)}"', html, re.DOTALL)
    html = ended.client.get("/runs/r1/cells", params=CELL).text
    assert re.findall("item_id=(i[0-9])", html) == ["i6", "i2", "i4", "i0"]
    told = words(html)
    assert "base model wrong B: Motion" in told
    assert "round 1 right" in told
    assert "test, which nobody looks at" in told


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/runs/none/prototypes", {}),
        ("/runs/r1/prototypes", {"arm": HOSTILE}),
        ("/runs/r1/prototypes", {"round": 7}),
        (SEARCH, {**ROUND, "name": "none"}),
        (SEARCH, {**ROUND, "round": 7, "name": "p000"}),
        ("/runs/r1/cells", {**CELL, "value": HOSTILE}),
        ("/runs/r1/cells", {**CELL, "arm": "none"}),
    ],
)
def test_what_the_run_has_not_is_not_found(ended, path, params):
    answer = ended.client.get(path, params=params)
    assert answer.status_code == 404
    assert HOSTILE not in answer.text


def test_a_picture_is_a_small_png_that_the_browser_keeps_for_this_login(ended):
    path = pictures(ended.client.get("/runs/r1/prototypes").text)[0]
    answer = ended.client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert Image.open(io.BytesIO(answer.content)).format == "PNG"
    assert "private" in answer.headers["cache-control"]
    assert "Cookie" in answer.headers["vary"]
    again = ended.client.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_picture_of_nothing_is_not_found_and_a_name_that_is_no_digest_is_refused(ended):
    assert ended.client.get(f"/runs/r1/images/{'0' * 64}.png").status_code == 404
    assert ended.client.get("/runs/r1/images/..%2Fsecret.png").status_code in (400, 404)
    assert ended.client.get(f"/runs/r1/images/{'A' * 64}.png").status_code == 400


def test_pictures_and_galleries_are_for_those_who_are_logged_in(house):
    callers = house.folder / "callers.yaml"
    add_caller(callers, "r", Role.READER)
    with console_of(house, auth={"tokens_file": str(callers)}) as (client, _):
        for path in (f"/runs/r1/images/{'0' * 64}.png", "/runs/r1/prototypes"):
            answer = client.get(path, follow_redirects=False)
            assert (answer.status_code, answer.headers["location"][:6]) == (303, "/login")
        assert client.get("/api/v1/runs/r1/drawn", params={**ROUND, "search": "p000"}).status_code == 401


def test_the_api_answers_what_the_stub_answers(ended):
    document = ended.client.get("/api/openapi.json").json()
    searched = {"run_id": "r1", **ROUND, "searches": ["p000", HOSTILE_CELL], "most_each": 3}
    asked = {
        "/api/v1/runs/{run_id}/drawn": ended.stub.ListDrawn(pb.ListDrawnRequest(**searched)),
        "/api/v1/runs/{run_id}/dev-items": ended.stub.ListDevItems(pb.ListDevItemsRequest(**searched)),
    }
    for path, message in asked.items():
        params = {**ROUND, "search": searched["searches"], "most_each": 3}
        answer = ended.client.get(path.format(run_id="r1"), params=params).json()
        assert answer == to_json(message)
        schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(answer)
    of_cell = {**ROUND, "round": 1, "modality": "ct", "attribute": "metal_artifact"}
    found = ended.client.get("/api/v1/runs/r1/dev-items", params=of_cell).json()
    assert [one["item_id"] for one in found["items"]] == ["i6", "i2", "i4", "i0"]
    picture = ended.client.get(f"/api/v1/images/{found['items'][0]['image_id']}.png", params={"side": 64})
    assert picture.headers["content-type"] == "image/png"


def test_done_steps_say_how_long_they_took(ended):
    told = words(ended.client.get("/runs/r1").text)
    assert "round 1 · its steps took 2 s" in told
    assert "evaluate 2 s mine failures not needed" in told


def test_a_score_is_told_by_its_measure():
    assert told_image(pb.DrawnImage(search="novelty", score=0.3125))["near"] == ["novelty 0.31"]
    assert told_image(pb.DrawnImage(search="p000", similarity=0.5))["near"] == ["similarity 0.50"]
