"""What counts as the time of a decision, on a clock that the test sets."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from tests.browser.support import logged_in, press, saved, seen, verdicts
from tests.support.review_pages import ReviewHouse


def test_only_active_seconds_count(browser: Browser, house: ReviewHouse) -> None:
    house.put_choices(1)
    with logged_in(browser, house, "ann") as context:
        page = context.new_page()
        page.clock.install()
        page.goto("/review")
        seen(page)
        page.mouse.move(300, 300)
        page.clock.run_for(10_000)
        page.mouse.move(310, 300)
        page.clock.run_for(600_000)  # idle: 30 s of it count
        page.mouse.move(320, 300)
        page.clock.run_for(5_000)
        expect(page.locator("#seconds")).to_have_text("0:45")
        page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.clock.run_for(20_000)
        page.evaluate("delete document.hidden")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        press(page, "a")
        saved(page)
    (found,) = verdicts(house).values()
    assert found is not None
    assert 45 <= found.active_seconds < 50
