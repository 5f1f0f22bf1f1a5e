"""Every page that a browser can be shown, in one list, and the servers behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from playwright.sync_api import Page, expect

from medq.controller.v1.controller_pb2 import Cost, ReserveCostsRequest
from services.resting import resting
from shared.rpc.channels import Channels
from shared.rpc.operations import await_operation
from tests.browser.support import await_next, seen
from tests.support.console_pages import START, served
from tests.support.controller_house import House, controller_stub, get_run, start, until
from tests.support.followed_run import followed_run
from tests.support.gallery_world import fill_galleries
from tests.support.review_pages import review_house
from tests.support.reviews import queue_entry
from tests.support.run_files import write_run_files
from web.app import create_app
from web.server import WebServer, address_of, bind
from web.settings import WebSettings

Route = tuple[str, str]
SEARCH = "/runs/r1/prototypes/search?arm=failure_driven&round=0&name=p000"
CELL = "/runs/r1/cells?arm=failure_driven&modality=ct&value=metal_artifact"
#: Routes outside the API that answer with no page of their own.
NO_PAGES: frozenset[Route] = frozenset(
    {
        ("GET", "/"),  # leads to /runs
        ("GET", "/healthz"),
        ("GET", "/login/oidc"),  # leads to the issuer
        ("GET", "/login/callback"),  # leads back
        ("POST", "/logout"),  # leads to the login
        ("POST", "/runs"),  # leads to the run
        ("POST", "/runs/{run_id}/cancel"),  # these lead to the run
        ("POST", "/runs/{run_id}/pause"),
        ("POST", "/runs/{run_id}/resume"),
        ("GET", "/runs/{run_id}/events"),  # a stream
        ("GET", "/runs/{run_id}/images/{digest}.png"),
        ("GET", "/runs/{run_id}/figures"),  # a part of the page of a run
    }
)


@dataclass(frozen=True)
class Scene:
    """Servers that answer.

    Attributes:
        url: Of the pages.
        app: The pages.
        folder: Where a page of them is written that is one file.
        form: What a form of the pages is filled in with.
    """

    url: str
    app: FastAPI
    folder: Path
    form: Mapping[str, str]


@dataclass(frozen=True)
class Shown:
    """A page.

    Attributes:
        name: Of its picture.
        scene: Where it is: a name of `scenes`.
        route: What makes it.
        go: Brings a window that is logged in (or is not, see `is_open`) to it.
        is_open: It is seen without a login.
        status: With which it is answered.
    """

    name: str
    scene: str
    route: Route
    go: Callable[[Page, Scene], object]
    is_open: bool = False
    status: int = 200


def _at(path: str) -> Callable[[Page, Scene], object]:
    return lambda page, scene: page.goto(path)


def _refused(page: Page, scene: Scene) -> None:
    page.goto("/login")
    page.get_by_label("Token").fill("another")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()


def _estimate(page: Page, scene: Scene) -> None:
    page.goto("/start")
    for name, value in scene.form.items():
        page.locator(f"[name={name}]").fill(value)
    page.get_by_role("button", name="Check it").click()
    expect(page.get_by_role("button", name="Start it")).to_be_visible()


def _problems(page: Page, scene: Scene) -> None:
    page.goto("/start")
    page.get_by_label("Configuration").fill("name: small\ntrain:\n  learning_rate: -1\n")
    page.get_by_role("button", name="Check it").click()
    expect(page.get_by_role("alert")).to_be_visible()


def _report(page: Page, scene: Scene) -> None:
    file = scene.folder / "report.html"
    file.write_text(page.request.get("/runs/r1/report.html").text(), encoding="utf-8")
    page.goto(file.as_uri())


def _review(*keys: str) -> Callable[[Page, Scene], object]:
    def go(page: Page, scene: Scene) -> None:
        page.goto("/review")
        seen(page)
        await_next(page)
        for key in keys:
            page.keyboard.press(key)

    return go


def _empty(page: Page, scene: Scene) -> None:
    page.goto("/review")
    expect(page.locator("#idle")).to_contain_text("Nothing waits")


_RUN, _LINEAGE, _REVIEW = ("GET", "/runs/{run_id}"), ("GET", "/runs/{run_id}/lineage"), ("GET", "/review")
PAGES = (
    Shown("login", "console", ("GET", "/login"), _at("/login"), is_open=True),
    Shown("login-refused", "console", ("POST", "/login"), _refused, is_open=True, status=401),
    Shown("error", "console", _RUN, _at("/runs/nothing"), status=404),
    Shown("runs", "console", ("GET", "/runs"), _at("/runs")),
    Shown("runs-none", "followed", ("GET", "/runs"), _at("/runs?page_token=1")),
    Shown("run-at-work", "console", _RUN, _at("/runs/r2")),
    Shown("run-ended", "console", _RUN, _at("/runs/r1")),
    Shown("start", "console", ("GET", "/start"), _at("/start")),
    Shown("start-problems", "console", ("POST", "/start"), _problems),
    Shown("estimate", "console", ("POST", "/start"), _estimate),
    Shown("lineage", "console", _LINEAGE, _at("/runs/r1/lineage")),
    Shown("lineage-of-sample", "followed", _LINEAGE, _at("/runs/run/lineage?sample_id=d0")),
    Shown("lineage-of-item", "followed", _LINEAGE, _at("/runs/run/lineage?item_id=17")),
    Shown("prototypes", "console", ("GET", "/runs/{run_id}/prototypes"), _at("/runs/r1/prototypes")),
    Shown("prototype", "console", ("GET", "/runs/{run_id}/prototypes/search"), _at(SEARCH)),
    Shown("cell", "console", ("GET", "/runs/{run_id}/cells"), _at(CELL)),
    Shown("report", "console", ("GET", "/runs/{run_id}/report.html"), _report),
    Shown("review", "review", _REVIEW, _review()),
    Shown("review-keys", "review", _REVIEW, _review("?")),
    Shown("review-reject", "review", _REVIEW, _review("r")),
    Shown("review-description", "descriptions", _REVIEW, _review("e")),
    Shown("review-empty", "empty", _REVIEW, _empty),
)


@contextmanager
def scenes(folder: Path) -> Iterator[dict[str, Scene]]:
    """All of them, at work together; who has `START` is logged in."""
    with ExitStack() as stack:
        yield {
            "console": stack.enter_context(_console(_made(folder, "c"))),
            "followed": stack.enter_context(_followed(_made(folder, "f"))),
            "review": stack.enter_context(_reviews(_made(folder, "r"))),
            "descriptions": stack.enter_context(_descriptions(_made(folder, "d"))),
            "empty": stack.enter_context(_queue(_made(folder, "e"))),
        }


def _made(folder: Path, name: str) -> Path:
    (folder / name).mkdir(mode=0o700)
    return folder / name


@contextmanager
def _console(folder: Path) -> Iterator[Scene]:
    """A run that has ended, and one that is at work."""
    house = House(folder)  # type: ignore[no-untyped-call]
    fill_galleries(house.services, n_drawn=80)
    with served(house) as (url, channel, app):
        request = start(channel, house, rounds=1, stop={"max_usd": 50.0})  # type: ignore[no-untyped-call]
        await_operation(channel, "r1")
        costs = [Cost(key="r1/failure_driven/0/oracle/a/1", kind="oracle", usd=12.5, is_simulated=True)]
        controller_stub(channel).ReserveCosts(ReserveCostsRequest(run_id="r1", costs=costs))  # type: ignore[no-untyped-call]
        house.services.hold("annotate")
        request.run_id = "r2"
        controller_stub(channel).StartRun(request)  # type: ignore[no-untyped-call]
        until(lambda: get_run(channel, "r2").step == "annotate")  # type: ignore[no-untyped-call]
        files = folder / "form"
        form = {"run_id": "third", "config_yaml": write_run_files(files), "base_folder": str(files)}  # type: ignore[no-untyped-call]
        yield Scene(url, app, folder, form)
        house.services.release("annotate")
    house.server.stop(0).wait()


@contextmanager
def _followed(folder: Path) -> Iterator[Scene]:
    """A run that no process works on, whose samples lead back to its errors."""
    bound = bind("127.0.0.1:0")
    with followed_run(folder / "out") as run, resting(run.out / "state") as targets, Channels(targets) as channels:
        app = create_app(WebSettings(listen=address_of(bound)), channels, start_token=START, owner="ann")
        with WebServer(app, bound):
            yield Scene(f"http://{address_of(bound)}", app, folder, {})


@contextmanager
def _queue(folder: Path, put: Callable[[Any], object] = lambda house: None) -> Iterator[Scene]:
    """A queue, filled by `put`."""
    with review_house(folder, is_embedded=True) as house:
        put(house)
        yield Scene(house.url, house.serve(), folder, {})


def _reviews(folder: Path) -> Any:
    return _queue(folder, lambda house: house.put_choices(3, clean_neighbours=(house.picture(7),)))


def _descriptions(folder: Path) -> Any:
    told = {
        "options": {},
        "proposal": "Some noise in the left half. Overall, the quality of this image is usable.",
        "reference_answer": "Some noise in the left half. Overall, the quality of this image is usable.",
        "self_answer": "Strong noise. Overall, the quality of this image is bad.",
    }
    return _queue(
        folder, lambda house: house.put([queue_entry(n, image_uri=house.picture(n), **told) for n in range(2)])
    )
