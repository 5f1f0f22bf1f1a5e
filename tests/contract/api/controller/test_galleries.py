"""Galleries: what searches drew and what became of it, and the items of dev behind them or in a cell, page by page."""

from __future__ import annotations

import pytest

from medq.controller.v1 import controller_pb2 as pb
from shared.errors import InvalidArgument, NotFound
from shared.rpc.operations import await_operation
from tests.support.controller_house import House, controller_stub, error_of, start
from tests.support.gallery_world import CELL, HOSTILE, HOSTILE_CELL, fill_galleries
from tests.support.servers import short_folder

PLACE = {"run_id": "r1", "arm": "failure_driven", "round": 0}


@pytest.fixture(scope="module")
def stub():
    with short_folder() as folder:
        house = House(folder)
        fill_galleries(house.services, n_drawn=120)
        with house.controller() as channel:
            start(channel, house, rounds=1)
            await_operation(channel, "r1")
            yield controller_stub(channel)
        house.server.stop(0).wait()


def drawn(stub, **said):
    return stub.ListDrawn(pb.ListDrawnRequest(**{**PLACE, "searches": ["p000"], **said}))


def items(stub, **said):
    return stub.ListDevItems(pb.ListDevItemsRequest(**{**PLACE, **said}))


def test_everything_that_a_search_drew_comes_in_pages_in_the_order_of_the_draw(stub):
    found, token = [], ""
    while True:
        page = drawn(stub, page_size=50, page_token=token)
        found += page.images
        token = page.next_page_token
        if not token:
            break
    assert [one.sample_id for one in found] == [f"sample-{n}" for n in range(117)]
    first = found[0]
    assert (first.search, round(first.similarity, 2), first.contrast) == ("p000", 0.91, 0.25)


def test_each_image_tells_what_became_of_the_questions_about_it(stub):
    found = drawn(stub, page_size=5).images
    assert [dict(one.fates) for one in found] == [
        {"trained on": 1},
        {"left out: duplicate": 1},
        {"the expert rejected it": 1},
        {f"not decided: no budget {HOSTILE}": 1},
        {},
    ]
    assert [one.is_simulated for one in found] == [True, True, True, False, False]


def test_several_searches_give_the_first_of_each(stub):
    found = drawn(stub, searches=[HOSTILE_CELL, "p000", "none"], most_each=2).images
    assert [(one.search, one.sample_id) for one in found] == [
        (HOSTILE_CELL, "sample-117"), (HOSTILE_CELL, "sample-118"), ("p000", "sample-0"), ("p000", "sample-1"),
    ]  # fmt: skip
    assert not found[0].HasField("similarity")


def test_the_failed_items_behind_a_search_are_those_of_its_prototype_or_of_its_cell(stub):
    found = items(stub, searches=["p000", HOSTILE_CELL])
    assert [(one.search, one.item_id) for one in found.items] == [
        *(("p000", f"i{n}") for n in range(2, 7)),
        (HOSTILE_CELL, "i7"),
    ]
    assert found.total == 6
    one = found.items[0]
    assert (one.gold, one.options["C"], one.question) == ("C", "Metal", f"Is it sharp? 2 {HOSTILE}")
    assert [(by.round, by.n_wrong, dict(by.replies)) for by in one.answers] == [(0, by.n_runs, {"B": by.n_runs})
        for by in one.answers]  # fmt: skip


def test_items_of_a_cell_have_the_answers_of_the_base_model_and_of_the_round_the_worst_first(stub):
    found = items(stub, round=1, modality="ct", attribute="metal_artifact").items
    assert [one.item_id for one in found] == ["i6", "i2", "i4", "i0"]
    wrong = [[by.n_wrong == by.n_runs for by in one.answers] for one in found]
    assert wrong == [[True, True], [True, False], [True, False], [False, False]]
    assert {one.search for one in found} == {""}
    assert len(items(stub).items) == 8
    assert items(stub, question_type="no such").total == 0


def test_items_come_in_pages(stub):
    first = items(stub, page_size=3)
    rest = items(stub, page_size=100, page_token=first.next_page_token)
    assert first.total == rest.total == 8
    assert len({one.item_id for one in [*first.items, *rest.items]}) == 8
    assert rest.next_page_token == ""


@pytest.mark.parametrize("said", [{"run_id": "none"}, {"arm": "none"}, {"round": 7}, {"arm": HOSTILE}, {"run_id": ""}])
def test_what_the_run_has_not_is_not_found(stub, said):
    for call, request in (
        (stub.ListDrawn, pb.ListDrawnRequest(**{**PLACE, "searches": [CELL], **said})),
        (stub.ListDevItems, pb.ListDevItemsRequest(**{**PLACE, **said})),
    ):
        assert isinstance(error_of(call, request), NotFound)


@pytest.mark.parametrize(
    "said",
    [
        {"searches": []},
        {"searches": ["p000", "p000"]},
        {"searches": [str(n) for n in range(51)]},
        {"round": 2**32 - 1},
        {"page_token": "x"},
    ],
)
def test_requests_outside_their_bounds_are_refused(stub, said):
    error = error_of(stub.ListDrawn, pb.ListDrawnRequest(**{**PLACE, "searches": ["p000"], **said}))
    assert isinstance(error, InvalidArgument)
    assert error.field in said


def test_pages_are_bounded_whatever_is_asked_for(stub):
    assert len(drawn(stub, page_size=2**32 - 1).images) == 117
    assert len(drawn(stub).images) == 100


def test_a_run_tells_how_long_the_steps_of_its_round_took(stub):
    (run,) = stub.ListRuns(pb.ListRunsRequest()).runs
    assert [one.step for one in run.step_times] == ["evaluate_dev", "evaluate_test"]  # of the last round
    seconds = {(one.end_time.ToDatetime() - one.begin_time.ToDatetime()).total_seconds() for one in run.step_times}
    assert seconds == {2.0}
    assert run.step_times == stub.GetRun(pb.GetRunRequest(run_id="r1")).run.step_times
