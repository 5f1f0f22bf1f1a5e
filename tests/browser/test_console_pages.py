"""The console in a real browser: a run is followed and cancelled; axe finds nothing serious; nothing is wider than its window."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from medq.controller.v1.controller_pb2 import Cost, PauseRunRequest, ReserveCostsRequest
from shared.rpc.operations import await_operation
from tests.browser.support import serious
from tests.support.console_pages import START, served
from tests.support.controller_house import House, controller_stub, get_run, start, until
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 2560])
def test_axe_finds_nothing_serious_on_any_page(browser: Browser, house: House, width: int, scheme: Any) -> None:
    with served(house) as (url, channel, _):
        start(channel, house, rounds=1)
        await_operation(channel, "r1")
        cost = Cost(key="r1/failure_driven/0/oracle/a/1", kind="oracle", usd=12.5, is_simulated=True)
        controller_stub(channel).ReserveCosts(ReserveCostsRequest(run_id="r1", costs=[cost]))
        page = open_pages(browser, url, viewport={"width": width, "height": 900}, color_scheme=scheme)
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        for path in ("/runs", "/start", "/runs/r1", "/runs/r1/lineage"):
            page.goto(path)
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            assert serious(page) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert errors == []


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
