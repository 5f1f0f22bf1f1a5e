"""Window and level on the values of the file, in a real browser: what 8 bits have lost is seen, as numpy has it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, expect

from tests.browser.support import logged_in, opened
from tests.support.pictures import dicom, picture, png
from tests.support.review_pages import ReviewHouse
from tests.support.reviews import queue_entry

N, SIDE = 8, 32
#: Blocks of one value each, 2 HU apart; the last two stretch the range.
BLOCKS = np.arange(N * N).reshape(N, N) * 2 - 60
BLOCKS[-1, -2:] = -1024, 2900
TAGS = {"RescaleSlope": "1", "RescaleIntercept": "-1024", "WindowCenter": 938, "WindowWidth": 3925}

#: The grey in the middle of each block, as the canvas shows it.
_GREYS = f"""() => {{
    const canvas = document.querySelector("#image");
    const zoom = Math.min(canvas.width, canvas.height) / {N * SIDE};
    const context = canvas.getContext("2d");
    const at = (block, side) => Math.round(side / 2 + (block + 0.5 - {N} / 2) * {SIDE} * zoom);
    return Array.from({{ length: {N * N} }}, (_, block) => {{
        const [x, y] = [at(block % {N}, canvas.width), at(Math.floor(block / {N}), canvas.height)];
        return context.getImageData(x, y, 1, 1).data[0];
    }});
}}"""


def ct(**tags: Any) -> bytes:
    """A CT image of these blocks."""
    return dicom((np.kron(BLOCKS, np.ones((SIDE, SIDE), int)) + 1024).astype(np.uint16), **{**TAGS, **tags})


def shown(window: float, level: float) -> NDArray[np.float64]:
    """The greys of the blocks through a window."""
    return 255 * np.clip((BLOCKS - (level - window / 2)) / window, 0, 1)


def greys(page: Page) -> NDArray[np.float64]:
    return np.array(page.evaluate(_GREYS), dtype=float).reshape(N, N)


def put(house: ReviewHouse, *files: bytes, **changes: Any) -> None:
    house.put([queue_entry(number, image_uri=uri, **changes) for number, uri in enumerate(house.take_in(*files))])


def until(page: Page, wanted: NDArray[np.float64]) -> None:
    """The canvas shows these greys, each within one."""
    page.wait_for_function(
        f"wanted => ({_GREYS})().every((grey, at) => Math.abs(grey - wanted[at]) <= 1)", arg=wanted.flatten().tolist()
    )


def test_a_narrow_window_shows_what_the_8_bits_have_lost(browser: Browser, house: ReviewHouse) -> None:
    put(house, ct())
    with logged_in(browser, house, "ann") as context:
        page = opened(context)
        expect(page.locator("#facts")).to_have_text("CT · 256 × 256 · 16 bit")
        expect(page.locator("#view")).to_contain_text("as stored: window 3925 level 938 HU")
        until(page, shown(3925, 938))
        assert len(np.unique(greys(page))) <= 12  # 2 HU are an eighth of a grey
        page.keyboard.press("p")
        expect(page.locator("#view")).to_contain_text("full range: window 3924 level 938 HU")
        page.keyboard.press("p")
        expect(page.locator("#view")).to_contain_text("soft tissue: window 400 level 40 HU")
        until(page, shown(400, 40))
        for _ in range(6):
            page.keyboard.press("w")
        page.keyboard.press("l")
        window = 400 * 2**-1.5
        level = 40 - window * 8 / 255
        expect(page.locator("#view")).to_contain_text(f"window {round(window)} level {round(level)} HU")
        until(page, shown(window, level))
        assert len(np.unique(greys(page))) > 45
        page.keyboard.press("i")
        until(page, 255 - shown(window, level))
        page.keyboard.press("0")
        until(page, shown(3925, 938))
        expect(page.locator("#view")).to_contain_text("as stored: window 3925 level 938 HU")


def test_where_the_lowest_value_is_white_it_stays_white(browser: Browser, house: ReviewHouse) -> None:
    put(house, ct(PhotometricInterpretation="MONOCHROME1"), modality="mri")
    with logged_in(browser, house, "ann") as context:
        page = opened(context)
        expect(page.locator("#view")).to_contain_text("as stored:")
        until(page, 255 - shown(3925, 938))
        for _ in range(16):
            page.keyboard.press("w")
        until(page, 255 - shown(3925 / 16, 938))
        page.keyboard.press("0")
        for name in ("full range", "as stored"):  # windows of CT are for CT
            page.keyboard.press("p")
            expect(page.locator("#view")).to_contain_text(f"{name}:")


def test_a_picture_of_8_bits_is_as_ever_and_has_no_windows_to_choose(browser: Browser, house: ReviewHouse) -> None:
    put(house, png(picture(1, 64)))
    with logged_in(browser, house, "ann") as context:
        page = context.new_page()
        with page.expect_response("**/levels") as answer:
            page.goto("/review")
        assert answer.value.status == 204
        expect(page.locator("#facts")).to_have_text("CT · 64 × 64 · 8 bit")
        expect(page.locator("#view")).to_contain_text("window 255 level 128 of 256")
        expect(page.locator("[data-do=preset]")).to_be_hidden()
        page.keyboard.press("p")
        page.keyboard.press("w")
        expect(page.locator("#view")).to_contain_text("window 247 level 128 of 256")
