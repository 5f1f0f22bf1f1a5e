"""The console in a real browser: a run is followed, paused and cancelled; cells and pictures lead on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from medq.controller.v1.controller_pb2 import PauseRunRequest
from shared.rpc.operations import await_operation
from tests.browser.support import serious
from tests.support.console_pages import START, served
from tests.support.controller_house import House, controller_stub, get_run, start, until
from tests.support.gallery_world import fill_galleries
from tests.support.servers import short_folder


@pytest.fixture
def house() -> Iterator[House]:
    with short_folder() as folder:
        house = House(folder)  # type: ignore[no-untyped-call]
        yield house
        house.server.stop(0).wait()


def open_pages(browser: Browser, url: str, **window: Any) -> Page:
    """A window in which somebody with all rights is logged in."""
    page = browser.new_context(base_url=url, **window).new_page()
    page.goto(f"/login?token={START}")
    return page


def test_a_run_is_followed_without_loading_the_page_and_cancelled(browser: Browser, house: House) -> None:
    house.services.hold("annotate")
    with served(house) as (url, channel, _):
        start(channel, house, rounds=1)
        until(lambda: get_run(channel).step == "annotate")
        page = open_pages(browser, url)
        page.goto("/runs/r1")
        expect(page.locator("[aria-current=step] strong")).to_have_text("annotate")
        expect(page.locator("#following")).to_contain_text("follows")
        house.services.hold("train")
        house.services.release("annotate")
        expect(page.locator("[aria-current=step] strong")).to_have_text("train", timeout=20_000)
        expect(page.locator("#figures")).to_contain_text("Who answered")
        page.locator("details.confirm summary").click()
        page.get_by_role("button", name="Yes, cancel the run").click()
        expect(page.locator("#standing")).to_contain_text("called off", timeout=20_000)


def test_a_cell_of_the_map_opens_its_images_and_these_lead_to_the_lineage_by_keyboard_alone(
    browser: Browser, house: House
) -> None:
    fill_galleries(house.services, n_drawn=80)
    with served(house) as (url, channel, _):
        start(channel, house, rounds=1)
        await_operation(channel, "r1")
        page = open_pages(browser, url, viewport={"width": 390, "height": 800})
        page.goto("/runs/r1")
        page.locator("svg a").first.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("metal artifact in CT")
        image = page.locator("main img").first
        image.scroll_into_view_if_needed()
        expect(image).to_have_js_property("complete", True)
        assert image.evaluate("one => one.naturalWidth") > 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.locator("main .pictures a").first.press("Enter")
        expect(page.locator("main")).to_contain_text("Item of dev i6")


def test_pictures_come_as_they_come_into_sight_and_the_page_does_not_jump(browser: Browser, house: House) -> None:
    fill_galleries(house.services, n_drawn=80)
    with served(house) as (url, channel, _):
        start(channel, house, rounds=1)
        await_operation(channel, "r1")
        page = open_pages(browser, url, viewport={"width": 390, "height": 800})
        page.goto("/runs/r1/prototypes")
        height = page.evaluate("document.documentElement.scrollHeight")
        last = page.locator("main img").last
        last.scroll_into_view_if_needed()
        expect(last).to_have_js_property("complete", True)
        assert last.evaluate("one => one.naturalWidth") > 0
        assert page.evaluate("document.documentElement.scrollHeight") == height


def test_buttons_follow_a_run_that_somebody_else_pauses(browser: Browser, house: House) -> None:
    house.services.hold("annotate")
    with served(house) as (url, channel, _):
        start(channel, house, rounds=1)
        until(lambda: get_run(channel).operation_id.endswith("annotate"))
        page = open_pages(browser, url)
        page.goto("/runs/r1")
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        controller_stub(channel).PauseRun(PauseRunRequest(run_id="r1"))
        expect(page.get_by_role("button", name="Go on")).to_be_visible(timeout=20_000)
        expect(page.locator("#standing")).to_contain_text("pauses after this step")
        house.services.release("annotate")
        expect(page.locator("#standing")).to_contain_text("It is paused.", timeout=20_000)
        assert serious(page) == []
        page.get_by_role("button", name="Go on").click()
        expect(page.locator("#standing")).to_contain_text("all rounds are done", timeout=30_000)
        expect(page.get_by_role("button", name="Pause")).to_have_count(0)
