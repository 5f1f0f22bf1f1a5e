"""Fifty reviews by keyboard while the servers are killed: what stands in database, ledger and files is what was pressed, once."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect
from typer.testing import CliRunner

from cli.main import app
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from services.migrate import migrate
from services.oracle.store.review_tables import LOG
from shared.objects.dataset import read_rows
from shared.rows.annotation import Decision
from shared.rpc.operations import await_operation
from shared.rpc.rights import Role
from tests.browser.support import logged_in, opened, press, saved, seen
from tests.support.controller_house import list_costs
from tests.support.databases import postgres_installation
from tests.support.review_processes import OPERATION, RUN, ReviewProcesses, review_processes
from tests.support.servers import short_folder

pytestmark = pytest.mark.timeout(900)  # the servers are started five times
N_TASKS = 50
#: A task, and the time of its being open that a decision is about.
Key = tuple[str, int]


@pytest.fixture(params=["sqlite", "postgres"])
def processes(request: pytest.FixtureRequest) -> Iterator[ReviewProcesses]:
    """The pages and the services that they need, with tasks for experts."""
    with short_folder() as folder:
        if request.param == "sqlite":
            with review_processes(folder) as found:
                yield found
            return
        with postgres_installation(request.getfixturevalue("postgres")) as url:
            migrate(url)
            with review_processes(folder, url) as found:
                yield found


class Hands:
    """What somebody presses, and what their browser sends.

    Attributes:
        meant: Each decision as it was pressed: the letter that was chosen ("" for the proposal), and the reason of a rejection.
        taken_back: Those of them that were undone.
        sent: Each body that the browser sent about a decision.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.meant: dict[Key, tuple[str, str]] = {}
        self.taken_back: set[Key] = set()
        self.sent: dict[Key, list[dict[str, Any]]] = {}
        self.answers: list[dict[str, Any]] = []
        page.on("request", self._note)

    @property
    def n_decided(self) -> int:
        """Tasks that are decided and were not taken back."""
        return len(self.meant) - len(self.taken_back)

    def decide(self, letter: str = "", reason: str = "") -> None:
        """Decide about the task that is seen: accept it, choose option B, or reject it for a reason."""
        key, before = self._key(), ["r"] if reason else ["2"] if letter else []
        self.meant[key] = (letter, reason)
        if reason:
            self.page.keyboard.press("r")
            self.page.keyboard.type(reason)
        press(self.page, *([] if reason else before), "Enter" if reason else "a")

    def next_one(self) -> None:
        """Decide as it comes: most are accepted, some corrected, some rejected."""
        number = self.n_decided
        self.decide("B" if number % 5 == 3 else "", f"Too dark, A E R 1 Z: {number}." if number % 5 == 4 else "")

    def undo(self) -> None:
        """Take the last decision back, so that its task is seen again."""
        last = list(self.meant)[-1]
        self.taken_back.add(last)
        press(self.page, "z")
        assert self._key() == (last[0], last[1] + 1)

    def _key(self) -> Key:
        task_id, _, revision = seen(self.page).partition("/")
        return task_id, int(revision)

    def _note(self, request: Any) -> None:
        found = re.search("/tasks/([0-9a-f]{32})/decide$", request.url)
        if found:
            body = request.post_data_json
            self.sent.setdefault((found[1], body["revision"]), []).append(body)


def test_fifty_reviews_outlive_servers_that_are_killed(browser: Browser, processes: ReviewProcesses) -> None:
    processes.ask_for_reviews(N_TASKS // 2)
    with logged_in(browser, processes, "ann") as context:
        page = opened(context)
        hands = Hands(page)
        review(hands, until=10)
        kill_between_two_keys(hands, processes)
        review(hands, until=20)
        kill_before_the_answer(hands, processes, context)
        review(hands, until=30)
        lose_an_answer(hands, processes)
        review(hands, until=40)
        kill_before_a_second_thought(hands, processes)
        review(hands, until=N_TASKS)
        expect(page.locator("#idle")).to_contain_text("Nothing waits")
        saved(page)
        expect(page.locator("#notices")).to_be_empty()
        assert page.evaluate("Object.keys(localStorage).filter(key => /waiting|refused/.test(key)).length") == 0
    assert hands.n_decided == N_TASKS
    assert len(hands.taken_back) == 6
    compare_with_database(hands, processes)
    compare_with_ledger(hands, processes)
    compare_with_files(hands, processes)


def review(hands: Hands, until: int) -> None:
    """Decide one after the other, and take one of them back."""
    while hands.n_decided < until - 5:
        hands.next_one()
    hands.undo()
    while hands.n_decided < until:
        hands.next_one()
    saved(hands.page)


def kill_between_two_keys(hands: Hands, processes: ReviewProcesses) -> None:
    """Nobody waits for an answer when they die; what is pressed meanwhile waits in the browser."""
    ready_for_more(hands.page)
    processes.kill()
    hands.next_one()
    expect(hands.page.locator("#saved")).to_contain_text("1 waits in this browser")
    hands.next_one()
    expect(hands.page.locator("#saved")).to_contain_text("2 wait in this browser")
    start_again(hands, processes)


def kill_before_the_answer(hands: Hands, processes: ReviewProcesses, context: BrowserContext) -> None:
    """A key is pressed, its decision is on its way, and they die before they have read it."""
    ready_for_more(hands.page)
    processes.hold()
    with context.expect_event("request", lambda request: request.url.endswith("/decide")):
        hands.next_one()
    processes.kill()
    expect(hands.page.locator("#saved")).to_contain_text("1 waits in this browser")
    start_again(hands, processes)


def lose_an_answer(hands: Hands, processes: ReviewProcesses) -> None:
    """A decision is in the database, and they die before the browser has read that it is: it is sent again, and known."""
    ready_for_more(hands.page)
    answered = []

    def answer_to_nobody(route: Route) -> None:
        answered.append(route.fetch().json()["is_new"])
        processes.kill()
        route.abort()

    hands.page.route("**/decide", answer_to_nobody, times=1)
    with hands.page.expect_event("requestfailed", lambda request: request.url.endswith("/decide")):  # they are dead
        hands.next_one()
    expect(hands.page.locator("#saved")).to_contain_text("1 waits in this browser")
    with hands.page.expect_response("**/decide", timeout=120_000) as again:
        processes.start()
    answered.append(again.value.json()["is_new"])
    assert answered == [True, False]
    saved(hands.page)


def kill_before_a_second_thought(hands: Hands, processes: ReviewProcesses) -> None:
    """While they are dead, a decision is made, taken back, and made otherwise."""
    ready_for_more(hands.page)
    processes.kill()
    hands.decide()
    hands.undo()
    hands.decide("B")
    expect(hands.page.locator("#saved")).to_contain_text("3 wait in this browser")
    start_again(hands, processes)


def ready_for_more(page: Page) -> None:
    """The next two tasks are here with their images."""
    expect(page.locator("#ahead")).to_have_text("next 2 loaded")


def start_again(hands: Hands, processes: ReviewProcesses) -> None:
    """Start the same processes on the same state; what waits is saved by itself."""
    processes.start()
    expect(hands.page.locator("#saved")).to_have_text("saved", timeout=120_000)


def compare_with_database(hands: Hands, processes: ReviewProcesses) -> None:
    """Each decision is in the log once, as it was pressed and with the seconds that the page had counted."""
    tasks = {task.entry.task_id: task for task in processes.tasks()}
    assert len(tasks) == N_TASKS
    with processes.database() as engine, engine.connect() as connection:
        rows = connection.execute(sa.select(LOG.c.kind, LOG.c.task_id, LOG.c.revision, LOG.c.text)).all()
    logged = {
        kind: Counter((row.task_id, row.revision) for row in rows if row.kind == kind) for kind in ("decide", "undo")
    }
    assert logged["decide"] == Counter(list(hands.meant))
    assert logged["undo"] == Counter(list(hands.taken_back))
    for row in rows:
        if row.kind == "decide":
            (body,) = {json.dumps(one, sort_keys=True): one for one in hands.sent[row.task_id, row.revision]}.values()
            told = json.loads(row.text)
            said = (told["details"]["action"], told["details"]["answer"], told["details"]["reason"])
            assert said == expected(tasks[row.task_id].entry.asked.proposal, *hands.meant[row.task_id, row.revision])
            assert (told["actor"], told["details"]["active_seconds"]) == ("ann", body["active_seconds"])
    for task_id, task in tasks.items():
        assert task.verdict is not None
        assert (task_id, task.revision) in hands.meant.keys() - hands.taken_back


def expected(proposal: str | None, letter: str, reason: str) -> tuple[str, str | None, str]:
    """Action, answer and reason of a decision as it was pressed."""
    if reason:
        return "reject", None, reason
    return ("accept" if letter in ("", proposal) else "edit"), letter or proposal, ""


def compare_with_ledger(hands: Hands, processes: ReviewProcesses) -> None:
    """Once the work has gone on, each decision has cost its seconds, one that was taken back too."""
    with processes.channels() as channels:
        uri = await_operation(channels["oracle"], OPERATION).result_uri
        entries = list_costs(ControllerServiceStub(channels["controller"]), RUN)  # type: ignore[no-untyped-call]
    spent = {entry.cost.key: entry.cost.expert_seconds for entry in entries if entry.cost.kind == "expert"}
    of_task = {task.entry.task_id: task.entry for task in processes.tasks()}
    assert spent == {
        of_task[task_id].ledger_key_at(revision): hands.sent[task_id, revision][0]["active_seconds"]
        for task_id, revision in hands.meant
    }
    assert {entry.state for entry in entries if entry.cost.kind == "expert"} == {"settled"}
    n_rejected = sum(bool(reason) for _, reason in final(hands).values())
    assert len(read_rows(processes.objects, uri, Decision)) == N_TASKS - n_rejected


def final(hands: Hands) -> dict[str, tuple[str, str]]:
    """What was pressed last about each task."""
    return {
        task_id: said
        for (task_id, revision), said in hands.meant.items()
        if (task_id, revision) not in hands.taken_back
    }


def compare_with_files(hands: Hands, processes: ReviewProcesses) -> None:
    """What `medq` exports is what was pressed, and the chain of the log holds."""
    table, label_studio = processes.folder / "reviews.csv", processes.folder / "reviews.json"
    for file in (table, label_studio):
        assert medq(processes, "review", "export", "--to", file, "--state", "all")["tasks"] == N_TASKS
    with table.open(encoding="utf-8-sig", newline="") as lines:
        rows = {row["task_id"]: row for row in csv.DictReader(lines)}
    given = {task["data"]["task_id"]: task for task in json.loads(label_studio.read_text())}
    assert rows.keys() == given.keys() == final(hands).keys()
    for (task_id, revision), said in hands.meant.items():
        if (task_id, revision) in hands.taken_back:
            continue
        row, (annotation,), seconds = (
            rows[task_id],
            given[task_id]["annotations"],
            hands.sent[task_id, revision][0]["active_seconds"],
        )
        action, answer, reason = expected(row["proposal"], *said)
        assert (row["action"], row["answer"], row["reason"]) == (action, answer or "", reason)
        assert (int(row["revision"]), float(row["active_seconds"]), row["reviewer"]) == (revision, seconds, "ann")
        assert (annotation["lead_time"], annotation["was_cancelled"]) == (seconds, action == "reject")
    verified = medq(processes, "audit", "verify")
    assert (verified["is_whole"], verified["fault"]) == (True, "")
    counts = medq(processes, "review", "list")["counts"]
    assert counts == {"open": 0, "leased": 0, "decided": N_TASKS, "closed": 0, "withdrawn": 0}


def medq(processes: ReviewProcesses, *arguments: str | Path) -> Any:
    """What a command of an operator tells as JSON."""
    token = processes.folder / "operator.token"
    if not token.exists():
        processes.token_file("operator", Role.OPERATOR)
    access = ["--out", processes.folder / "out", "--json", "--server", processes.server, "--token-file", token]
    ended = CliRunner().invoke(app, [*map(str, (*arguments, *access))], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)
