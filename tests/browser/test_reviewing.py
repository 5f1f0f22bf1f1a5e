"""Experts at the review page in a real browser; the queue is looked at after each."""

from __future__ import annotations

from collections import Counter

from playwright.sync_api import Browser, BrowserContext, Page, expect

from services.oracle.domain.review import Verdict
from tests.support.review_pages import ReviewHouse

#: The image of another task is shown, or there is none any more.
_IS_NEXT = """before => !["", before].includes(document.querySelector("#image").dataset.of)
    || document.querySelector("#idle").checkVisibility() && /Nothing waits/.test(document.querySelector("#idle").textContent)"""


def logged_in(browser: Browser, house: ReviewHouse, name: str) -> BrowserContext:
    """A browser of its own, with somebody's login."""
    context = browser.new_context(base_url=house.url, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(15_000)
    answer = context.request.post(
        "/login", form={"token": house.token(name), "next": "/review"}, headers={"origin": house.url}, max_redirects=0
    )
    assert answer.status == 303
    return context


def opened(context: BrowserContext) -> Page:
    """The review page, once its first image is shown."""
    page = context.new_page()
    page.goto("/review")
    seen(page)
    return page


def seen(page: Page) -> str:
    """The task whose image is shown."""
    image = page.locator("#image")
    expect(image).not_to_have_attribute("data-of", "")
    return str(image.get_attribute("data-of"))


def press(page: Page, *keys: str) -> None:
    """Press keys, and wait for the image of the next task, or for the end."""
    before = seen(page)
    for key in keys:
        page.keyboard.press(key)
    page.wait_for_function(_IS_NEXT, arg=before)


def saved(page: Page) -> None:
    expect(page.locator("#saved")).to_have_text("saved")


def verdicts(house: ReviewHouse) -> dict[str, Verdict | None]:
    return {task.entry.asked.decision_id: task.verdict for task in house.tasks()}


def test_twenty_tasks_are_decided_by_keyboard_alone(browser: Browser, house: ReviewHouse) -> None:
    house.put_choices(20)
    with logged_in(browser, house, "ann") as context:
        page = opened(context)
        expect(page.locator("#accept")).to_have_text("A Accept “Ring artifact”")
        for number in range(20):
            if number % 5 == 3:
                press(page, "3", "a")
            elif number % 5 == 4:
                page.keyboard.press("r")
                page.keyboard.type("Too dark, A E R 1 Z.")
                press(page, "Enter")
            else:
                press(page, "a")
        expect(page.locator("#idle")).to_contain_text("Nothing waits")
        saved(page)
        expect(page.locator("#place")).to_have_text("20 of 20")
    found = verdicts(house)
    assert [(v.action, v.answer, v.reason) for _, v in sorted(found.items(), key=lambda one: int(one[0][2:])) if v] == [
        ("edit", "C", "") if n % 5 == 3 else ("reject", None, "Too dark, A E R 1 Z.") if n % 5 == 4 else ("accept", "B", "")
        for n in range(20)
    ]  # fmt: skip
    assert all(v is not None and 0 <= v.active_seconds < 30 and v.reviewer == "ann" for v in found.values())


def test_two_reviewers_at_once_decide_each_task_once(browser: Browser, house: ReviewHouse) -> None:
    house.put_choices(12)
    with logged_in(browser, house, "ann") as one, logged_in(browser, house, "bob") as other:
        pages = [opened(one), opened(other)]
        for _ in range(5):
            for page in pages:
                press(page, "a")
        for page in pages:
            saved(page)
    assert Counter(v.reviewer for v in verdicts(house).values() if v) == {"ann": 5, "bob": 5}
