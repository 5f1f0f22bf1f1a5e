"""The review page for everybody: axe finds nothing serious, whatever it shows, on a laptop and on a large monitor."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.support import logged_in, press, ready, serious
from tests.support.review_pages import ReviewHouse
from tests.support.reviews import queue_entry


@pytest.mark.parametrize("width", [1280, 2560])
def test_axe_finds_nothing_serious_whatever_the_page_shows(browser: Browser, house: ReviewHouse, width: int) -> None:
    house.put_choices(1, clean_neighbours=(house.picture(7),))
    told = {"options": {}, "proposal": "Sharp.", "reference_answer": "Sharp.", "self_answer": "Blurred."}
    house.put([queue_entry(70, image_uri=house.picture(70), **told)])
    with logged_in(browser, house, "ann", width=width) as context:
        page = ready(context)
        assert serious(page) == []
        for key in ("?", "r"):
            page.keyboard.press(key)
            assert serious(page) == []
            page.keyboard.press("Escape")
        context.set_offline(True)
        press(page, "a")
        page.keyboard.press("e")
        expect(page.locator("#saved")).to_contain_text("offline")
        assert serious(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        context.clear_cookies()
        context.set_offline(False)
        expect(page.locator("#notices")).to_contain_text("Your login has ended.")
        assert serious(page) == []


def test_at_twice_the_size_the_page_is_one_column(browser: Browser, house: ReviewHouse) -> None:
    house.put_choices(2)
    with logged_in(browser, house, "ann", width=640) as context:
        page = ready(context)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        press(page, "a")


def test_whatever_can_be_clicked_can_be_reached_with_the_tab_key(browser: Browser, house: ReviewHouse) -> None:
    house.put_choices(2, clean_neighbours=(house.picture(7),))
    with logged_in(browser, house, "ann") as context:
        page = ready(context)
        reached = set()
        for _ in range(40):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.dataset.do ?? document.activeElement.id"))
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none" or page.evaluate("document.activeElement.matches('input, body')")
        assert {"pan", "window", "larger", "smaller", "invert", "reset", "image", "accept", "edit", "reject"} <= reached
        assert {"undo", "skip", "help"} <= reached
