"""Every page, on a phone, a laptop and a large monitor, light and dark: nothing is cut off, nothing fails, nothing is asked of
others, axe finds nothing serious; a picture of each lies in `build/browser` afterwards, for whoever looks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.browser.scenes import NO_PAGES, PAGES, Scene, Shown, scenes
from tests.browser.support import serious
from tests.support.console_pages import START
from tests.support.servers import short_folder
from tests.support.web_routes import routes

PICTURES = Path(__file__).resolve().parents[2] / "build" / "browser"
_HEIGHTS = {390: 844, 1440: 900, 2560: 1440}
#: Said to the console by a page that the browser's rules stop from doing something.
_WATCH = """() => {
    document.addEventListener('securitypolicyviolation', event => console.error(`CSP: ${event.violatedDirective}`));
}"""

#: What makes a page wider than its window.
_TOO_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('main *, header *')]
    .filter(one => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.scroll'))
    .map(one => `too wide: ${one.outerHTML.slice(0, 90)}`).slice(0, 3)"""


@pytest.fixture(scope="module")
def everything() -> Iterator[dict[str, Scene]]:
    with short_folder() as folder, scenes(folder) as found:
        yield found


@pytest.fixture(scope="module")
def cookies(browser: Browser, everything: dict[str, Scene]) -> dict[str, Any]:
    """Those of who is logged in, by scene: to log in for each page would be more often than an address may."""
    found = {}
    for name, scene in everything.items():
        with browser.new_context(base_url=scene.url) as context:
            context.new_page().goto(f"/login?token={START}")
            found[name] = context.cookies()
    return found


def test_every_route_that_makes_a_page_is_in_the_list(everything: dict[str, Scene]) -> None:
    app: FastAPI = everything["console"].app
    found = {
        (method, path) for method, path in routes(app) if method in ("GET", "POST") and not path.startswith("/api/")
    }
    assert found == {page.route for page in PAGES} | NO_PAGES


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", _HEIGHTS)
def test_every_page_is_whole(
    browser: Browser, everything: dict[str, Scene], cookies: dict[str, Any], width: int, scheme: Any
) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    found, window = {}, {"viewport": {"width": width, "height": _HEIGHTS[width]}, "color_scheme": scheme}
    for shown in PAGES:
        scene = everything[shown.scene]
        with browser.new_context(base_url=scene.url, **window) as context:
            if not shown.is_open:
                context.add_cookies(cookies[shown.scene])
            picture = PICTURES / f"{shown.name}-{width}-{scheme}.png"
            found[shown.name] = look(context.new_page(), shown, scene, picture)
    wrong = {name: faults for name, faults in found.items() if faults}
    assert not wrong, json.dumps(wrong, indent=1)


def look(page: Page, shown: Shown, scene: Scene, picture: Path) -> list[object]:
    """What is wrong with a page; writes its picture."""
    faults: list[object] = []

    def note_error(message: ConsoleMessage) -> None:
        is_status = message.text.startswith("Failed to load resource") and f"status of {shown.status}" in message.text
        if message.type == "error" and not (is_status and shown.status != 200):
            faults.append(message.text)

    page.add_init_script(f"({_WATCH})()")
    page.on("console", note_error)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: faults.append(request.url) if not is_ours(request.url, scene) else None)
    shown.go(page, scene)
    page.screenshot(path=picture, full_page=True)
    page.evaluate("document.querySelectorAll('details:not(.confirm)').forEach(one => one.open = true)")
    faults += page.evaluate(_TOO_WIDE)
    return [*faults, *serious(page)]


def is_ours(url: str, scene: Scene) -> bool:
    """Whether an address is one of the pages, or lies in the page itself."""
    return url.startswith((f"{scene.url}/", "data:", "blob:", scene.folder.as_uri()))
