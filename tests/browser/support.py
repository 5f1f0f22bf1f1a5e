"""What tests in a browser share: logins, and how a page is waited for."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from services.oracle.domain.review import Verdict
from shared.rpc.rights import Role
from tests.support.review_pages import ReviewHouse
from tests.support.review_processes import ReviewProcesses

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed: `make setup`.")
#: The image of another task is shown, or there is none any more.
_IS_NEXT = """before => !["", before].includes(document.querySelector("#image").dataset.of)
    || document.querySelector("#idle").checkVisibility() && /Nothing waits/.test(document.querySelector("#idle").textContent)"""


def logged_in(
    browser: Browser, house: ReviewHouse | ReviewProcesses, name: str, role: Role = Role.REVIEWER, width: int = 1280
) -> BrowserContext:
    """A browser of its own, with somebody's login."""
    context = browser.new_context(base_url=house.url, viewport={"width": width, "height": width * 10 // 16})
    context.set_default_timeout(15_000)
    answer = context.request.post(
        "/login",
        form={"token": house.token(name, role), "next": "/review"},
        headers={"origin": house.url},
        max_redirects=0,
    )
    assert answer.status == 303
    return context


def opened(context: BrowserContext) -> Page:
    """The review page, once its first image is shown."""
    page = context.new_page()
    page.goto("/review")
    seen(page)
    return page


def ready(context: BrowserContext) -> Page:
    """The review page, once the next image is there too."""
    page = opened(context)
    await_next(page)
    return page


def await_next(page: Page) -> None:
    """Wait until the next image is there too."""
    expect(page.locator("#ahead")).to_have_text(re.compile("^next"))


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
    """The server has said that it has the decision."""
    expect(page.locator("#saved")).to_have_text("saved")


def verdicts(house: ReviewHouse) -> dict[str, Verdict | None]:
    """What was decided, by decision."""
    return {task.entry.asked.decision_id: task.verdict for task in house.tasks()}


def serious(page: Page) -> list[Any]:
    """What axe finds serious or critical."""
    found = axe.Axe().run(page).response
    assert found["passes"]
    return [
        (one["id"], one["nodes"][0]["html"]) for one in found["violations"] if one["impact"] in ("serious", "critical")
    ]
