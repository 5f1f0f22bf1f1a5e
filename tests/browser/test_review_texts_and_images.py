"""What the review page shows in a real browser: texts as texts, images as they are, and what an expert may know."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from services.oracle.domain.review import Verdict
from shared.rpc.rights import Role
from tests.browser.support import logged_in, opened, press, saved, seen, verdicts
from tests.support.review_pages import ReviewHouse
from tests.support.reviews import queue_entry

_PIXELS = (
    "[...document.querySelector('#image').getContext('2d').getImageData(0, 0, 900, 400).data].reduce((a, b) => a + b)"
)


def test_hostile_texts_are_shown_as_texts(browser: Browser, house: ReviewHouse) -> None:
    hostile = "<img src=x onerror=\"document.title='caught'\">"
    house.put_choices(
        1, question=hostile, options={"A": hostile, "B": "<b>bold</b>"}, route_reason=hostile, modality=hostile
    )
    house.put(
        [
            queue_entry(
                70,
                image_uri=house.picture(70),
                options={},
                proposal=hostile,
                reference_answer=hostile,
                self_answer="<i>x",
            )
        ]
    )
    with logged_in(browser, house, hostile) as context:
        page = opened(context)
        expect(page.locator("#question")).to_have_text(hostile)
        expect(page.locator(".option").first).to_contain_text(hostile)
        press(page, "a")
        expect(page.locator("#texts")).to_contain_text(hostile)
        assert page.title() == "Review · MedQ-Engine"
        assert page.locator("main img, main b, main i").count() == 0


def test_differences_of_two_descriptions_are_marked(browser: Browser, house: ReviewHouse) -> None:
    told, other = "Some noise over the liver. Usable.", "Strong noise over the liver. Reject."
    house.put(
        [queue_entry(options={}, image_uri=house.picture(1), proposal=told, reference_answer=told, self_answer=other)]
    )
    with logged_in(browser, house, "ann") as context:
        page = opened(context)
        assert page.locator("figcaption").all_inner_texts() == [
            "proposed by the oracle",
            "the model wrote, and was sure",
        ]
        assert page.locator("figure p").all_inner_texts() == [told, other]
        assert page.locator("mark").all_inner_texts() == ["Some", "Usable.", "Strong", "Reject."]


def test_an_image_is_looked_at_with_keys_and_comes_back_as_it_was(browser: Browser, house: ReviewHouse) -> None:
    near = house.picture(5)
    house.put_choices(1, clean_neighbours=(near,))
    with logged_in(browser, house, "ann") as context:
        page = opened(context)
        before, view = page.evaluate(_PIXELS), page.locator("#view").inner_text()
        for keys in (["i"], ["w"] * 8, ["L"] * 8, ["+"], ["ArrowLeft"]):
            for key in keys:
                page.keyboard.press(key)
        expect(page.locator("#view")).to_contain_text("window 191 level 192 of 256")
        page.wait_for_function(f"before => {_PIXELS} !== before", arg=before)
        page.keyboard.press("0")
        page.wait_for_function(f"before => {_PIXELS} === before", arg=before)
        expect(page.locator("#view")).to_have_text(view)
        page.get_by_role("button", name="alike, the model was right, 1").click()
        expect(page.locator("#comparing")).to_contain_text("alike, the model was right")
        page.keyboard.press("Escape")
        expect(page.locator("#comparing")).to_be_hidden()
        page.wait_for_function(f"before => {_PIXELS} === before", arg=before)


def test_a_missing_image_is_told_and_nothing_is_accepted_unseen(browser: Browser, house: ReviewHouse) -> None:
    house.put([queue_entry()])
    with logged_in(browser, house, "ann") as context:
        page = context.new_page()
        page.goto("/review")
        expect(page.locator("#no-image")).to_contain_text("The image cannot be shown.")
        page.keyboard.press("a")
        expect(page.locator("#notices")).to_contain_text("The image has not been shown yet.")
        page.keyboard.press("r")
        page.get_by_role("button", name="The image cannot be judged.").click()
        page.keyboard.press("Enter")
        saved(page)
    assert [v and v.reason for v in verdicts(house).values()] == ["The image cannot be judged."]


def test_who_may_only_look_is_told_so(browser: Browser, house: ReviewHouse) -> None:
    house.put_choices(1)
    with logged_in(browser, house, "rita", Role.READER) as context:
        page = context.new_page()
        page.goto("/review")
        expect(page.locator("#idle")).to_contain_text("reviewer")
    assert house.tasks()[0].reviewer == ""


def test_a_third_expert_sees_what_the_two_have_said(browser: Browser, house: ReviewHouse) -> None:
    said = (Verdict("edit", "D", "Grainy.", 1, "bob"), Verdict("reject", None, "Too dark.", 1, "cyd"))
    house.put_choices(1, opinion=3, opinions=said)
    with logged_in(browser, house, "ann") as context:
        page = opened(context)
        expect(page.locator("#why")).to_have_text("why you see it: two experts disagree: you decide")
        expect(page.locator(".option").nth(3)).to_contain_text("expert 1")
        expect(page.locator("#notes")).to_have_text("Expert 1 remarked: Grainy.Expert 2 rejected it: Too dark.")


def test_where_nothing_is_proposed_nothing_is_accepted(browser: Browser, house: ReviewHouse) -> None:
    house.put_choices(1, proposal=None)
    with logged_in(browser, house, "ann") as context:
        page = opened(context)
        expect(page.locator("#accept")).to_have_text("A Choose an answer")
        page.keyboard.press("a")
        expect(page.locator("#options input").first).to_be_focused()
        press(page, "ArrowDown", "Enter")
        saved(page)
    assert [v and (v.action, v.answer) for v in verdicts(house).values()] == [("edit", "B")]


def test_a_blind_task_shows_nobodys_answer_not_even_when_it_is_taken_back(browser: Browser, house: ReviewHouse) -> None:
    house.put_choices(2, is_blind=True, is_reference_simulated=True)
    with logged_in(browser, house, "ann") as context:
        page = opened(context)
        first = seen(page)
        expect(page.locator("#notes")).to_contain_text("You decide first")
        expect(page.locator("#last")).to_be_hidden()
        assert page.locator(".option .badge").count() == 0
        press(page, "4", "a")
        saved(page)
        told = "Your last answer: “Nothing, it is clean”. Proposed was “Ring artifact”, by the oracle simulated."
        expect(page.locator("#last")).to_have_text(told)
        page.reload()
        seen(page)
        expect(page.locator("#last")).to_have_text(told)
        press(page, "z")
        assert seen(page) == first.replace("/1", "/2")
        expect(page.locator("#last")).to_be_hidden()
        assert page.locator(".option .badge").count() == 0
        expect(page.get_by_role("radio", checked=True)).to_have_value("D")
        press(page, "a")
        saved(page)
    assert [v and v.answer for v in verdicts(house).values()] == ["D", None]


def test_what_a_simulated_oracle_said_is_marked(browser: Browser, house: ReviewHouse) -> None:
    house.put_choices(1, is_reference_simulated=True)
    told = {"options": {}, "proposal": "Some noise.", "reference_answer": "Some noise.", "self_answer": "Blur."}
    house.put([queue_entry(70, image_uri=house.picture(70), is_reference_simulated=True, **told)])
    with logged_in(browser, house, "ann") as context:
        page = opened(context)
        assert page.locator(".option .badge.attention").all_inner_texts() == ["simulated"]
        expect(page.locator(".option").nth(1)).to_contain_text("oracle")
        expect(page.locator(".option").nth(1)).to_contain_text("simulated")
        press(page, "a")
        expect(page.locator("figcaption").first).to_have_text("proposed by the oracle simulated")


def test_what_an_operator_has_done_with_a_task_is_told(browser: Browser, house: ReviewHouse) -> None:
    ids = [entry.task_id for entry in house.put_choices(3)]
    house.queue.assign("run", ids[:1], "ann", "olga")
    house.queue.prioritize("run", ids[:1], 0, "olga")
    house.queue.prioritize("run", ids[2:], 7, "olga")
    with logged_in(browser, house, "ann") as context:
        page = opened(context)
        told = "An operator gave this task to you.An operator moved it forward (priority 0, 0 comes first)."
        expect(page.locator("#notes")).to_have_text(told)
        press(page, "a")
        expect(page.locator("#notes")).to_be_hidden()
        press(page, "a")
        expect(page.locator("#notes")).to_have_text("An operator moved it back (priority 7, 0 comes first).")
