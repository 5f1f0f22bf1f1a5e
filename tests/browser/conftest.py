"""A real browser: Debian's Chromium, steered by Playwright; where there is none, these tests say so and are skipped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.review_pages import ReviewHouse, review_house
from tests.support.servers import short_folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests; each opens windows of its own."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("No Chromium is installed here: on Debian `apt-get install chromium`.")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@pytest.fixture
def house() -> Iterator[ReviewHouse]:
    """The pages, answering."""
    with short_folder() as folder, review_house(folder) as house:
        house.serve()
        yield house
