"""Experts at the review page in a real browser; the queue is looked at after each."""

from __future__ import annotations

from collections import Counter

from playwright.sync_api import Browser, expect

from tests.browser.support import logged_in, opened, press, ready, saved, seen, verdicts
from tests.support.review_pages import ReviewHouse
from tests.support.reviews import queue_entry


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


def test_what_is_decided_without_the_network_is_sent_once_when_it_is_back(browser: Browser, house: ReviewHouse) -> None:
    house.put_choices(6)
    with logged_in(browser, house, "ann") as context:
        page = opened(context)
        press(page, "a")
        saved(page)
        expect(page.locator("#ahead")).to_have_text("next 2 loaded")
        context.set_offline(True)
        press(page, "3", "a")
        expect(page.locator("#saved")).to_have_text("offline: 1 waits in this browser")
        page.keyboard.press("a")
        expect(page.locator("#saved")).to_have_text("offline: 2 wait in this browser")
        page.keyboard.press("z")  # the last one, which nobody else has seen yet
        expect(page.locator("#saved")).to_have_text("offline: 3 wait in this browser")
        expect(page.locator("#accept")).to_contain_text("Accept")
        seen(page)
        page.keyboard.press("4")
        press(page, "a")
        expect(page.locator("#saved")).to_have_text("offline: 4 wait in this browser")
        assert sum(v is not None for v in verdicts(house).values()) == 1
        context.set_offline(False)
        saved(page)
        assert page.evaluate("Object.keys(localStorage).filter(key => key.includes('/waiting/')).length") == 0
    found = verdicts(house)
    assert [v and v.answer for v in found.values()] == ["B", "C", "D", None, None, None]
    assert [task.revision for task in house.tasks()] == [1, 1, 2, 1, 1, 1]


def test_a_decision_made_while_the_service_is_away_is_saved_by_the_next_one(
    browser: Browser, house: ReviewHouse
) -> None:
    house.put_choices(3)
    with logged_in(browser, house, "ann") as context:
        page = ready(context)
        house.stop()
        press(page, "a")
        expect(page.locator("#saved")).to_contain_text("offline: 1 waits", timeout=30_000)
        house.start()
        saved(page)
    assert sum(v is not None for v in verdicts(house).values()) == 1


def test_an_expired_login_keeps_draft_and_decisions_and_leads_back_to_them(
    browser: Browser, house: ReviewHouse
) -> None:
    house.put_choices(1)
    house.put([queue_entry(70, image_uri=house.picture(70), options={}, proposal="Sharp.", reference_answer="Sharp.")])
    with logged_in(browser, house, "ann") as context:
        page = ready(context)
        token = house.token("ann")
        context.clear_cookies()
        press(page, "a")
        expect(page.locator("#saved")).to_have_text("logged out: 1 waits in this browser")
        page.keyboard.press("e")
        page.keyboard.press("End")
        page.keyboard.type(" But small.")
        expect(page.locator("#text")).to_have_value("Sharp. But small.")
        page.get_by_role("link", name="Log in and go on").click()
        page.get_by_label("Token").fill(token)
        page.get_by_label("Token").press("Enter")
        saved(page)
        seen(page)
        expect(page.locator("#text")).to_have_value("Sharp. But small.")
        press(page, "a")
        saved(page)
    assert [v and (v.action, v.answer) for v in verdicts(house).values()] == [
        ("accept", "B"),
        ("edit", "Sharp. But small."),
    ]


def test_nobody_sends_what_another_has_decided_in_the_same_browser(browser: Browser, house: ReviewHouse) -> None:
    house.put_choices(2)
    with logged_in(browser, house, "ann") as context:
        page = ready(context)
        token = house.token("bob")
        context.clear_cookies()
        press(page, "a")
        expect(page.locator("#saved")).to_contain_text("logged out: 1 waits")
        page.get_by_role("link", name="Log in and go on").click()
        page.get_by_label("Token").fill(token)
        page.get_by_label("Token").press("Enter")
        expect(page.locator("#notices")).to_contain_text(
            "1 decision of somebody else waits in this browser until they log in."
        )
    assert not any(verdicts(house).values())


def test_a_refused_decision_is_told_and_stays_until_it_is_read(browser: Browser, house: ReviewHouse) -> None:
    entries = house.put_choices(2)
    with logged_in(browser, house, "ann") as context:
        page = opened(context)
        house.queue.release(entries[0].task_id, "ann")
        house.queue.lease("review", "bob", 1, 600)
        press(page, "a")
        notice = page.locator("#notices")
        expect(notice).to_contain_text(
            "Not saved: “What is wrong?” — Ring artifact. Somebody else has this task in hand."
        )
        page.reload()
        expect(notice).to_contain_text("Not saved")
        house.queue.release(entries[0].task_id, "bob")
        page.get_by_role("button", name="Send again").click()
        saved(page)
        expect(notice).to_be_empty()
    assert [v and v.reviewer for v in verdicts(house).values()] == ["ann", None]


def test_a_task_is_not_decided_in_two_tabs(browser: Browser, house: ReviewHouse) -> None:
    house.put_choices(2)
    with logged_in(browser, house, "ann") as context:
        one, other = opened(context), opened(context)
        assert seen(one) == seen(other)
        press(one, "a")
        saved(one)
        expect(other.locator("#notices")).to_contain_text("another tab")
        assert seen(other) == seen(one)
    assert sum(v is not None for v in verdicts(house).values()) == 1


def test_the_last_decision_is_taken_back_after_a_reload_and_a_skipped_task_comes_last(
    browser: Browser, house: ReviewHouse
) -> None:
    house.put_choices(3)
    with logged_in(browser, house, "ann") as context:
        page = opened(context)
        first = seen(page)
        press(page, "3", "a")
        saved(page)
        page.reload()
        seen(page)
        press(page, "z")
        assert seen(page) == first.replace("/1", "/2")
        expect(page.get_by_role("radio", checked=True)).to_have_value("C")
        press(page, "s")
        press(page, "a")
        press(page, "a")
        assert seen(page) == first.replace("/1", "/2")
    assert [v and v.answer for v in verdicts(house).values()] == [None, "B", "B"]


def test_a_browser_that_keeps_nothing_decides_nothing(browser: Browser, house: ReviewHouse) -> None:
    house.put_choices(2)
    with logged_in(browser, house, "ann") as context:
        page = opened(context)
        before = seen(page)
        page.evaluate(
            "() => { Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') } }"
        )
        page.keyboard.press("a")
        expect(page.locator("#notices")).to_contain_text("nothing was saved")
        assert seen(page) == before
    assert not any(verdicts(house).values())


def test_who_has_lost_a_task_is_told_and_keeps_what_they_wrote(browser: Browser, house: ReviewHouse) -> None:
    task = queue_entry(70, image_uri=house.picture(70), options={}, proposal="Sharp.", reference_answer="Sharp.")
    house.put([task])
    with logged_in(browser, house, "ann") as context:
        page = opened(context)
        page.keyboard.press("e")
        page.keyboard.type(" Mine.")
        house.queue.release(task.task_id, "ann")
        house.queue.lease("review", "bob", 1, 600)
        page.evaluate("dispatchEvent(new Event('online'))")
        expect(page.locator("#notices")).to_contain_text("You no longer have this task in hand")
        expect(page.locator("#text")).to_have_value("Sharp. Mine.")


def test_a_fault_of_the_service_about_one_task_holds_up_no_other(browser: Browser, house: ReviewHouse) -> None:
    first, _, _ = house.put_choices(3)
    with logged_in(browser, house, "ann") as context:
        page = opened(context)
        faulty = f"**/{first.task_id}/decide"
        page.route(faulty, lambda route: route.fulfill(status=500, json={"detail": "A defect."}))
        press(page, "a")
        expect(page.locator("#saved")).to_have_text("not saved yet: 1 waits in this browser")
        press(page, "a")
        page.unroute(faulty)
        press(page, "a")
        saved(page)
    assert [v and v.answer for v in verdicts(house).values()] == ["B", "B", "B"]
