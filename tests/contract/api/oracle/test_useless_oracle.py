"""An oracle that answers, and with nothing that can be used: it is found out before every image is paid for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from services.oracle.domain import annotation, generated
from shared.errors import FailedPrecondition
from shared.outside.probe import ENOUGH
from tests.support.chat_server import chat_server, refuses, says
from tests.support.real_oracle import N_EACH, House, well
from tests.support.servers import short_folder

N = 2 * ENOUGH + 4
PROSE = says("A secret sentence about the image, and no object.", usage=(1000, 20))


@pytest.fixture
def house() -> Iterator[House]:
    with short_folder() as folder, chat_server() as chat, ExitStack() as stack:
        house = House(folder, chat, n_images=N)
        stack.callback(lambda: house.fake_server.stop(0).wait())
        stack.callback(house.bus.close)
        yield house


def spent(house: House) -> float:
    return sum(cost.usd for cost in house.neighbours.settled)


def test_an_oracle_that_is_of_no_use_ends_the_work_after_the_first_images(house: House) -> None:
    house.chat.otherwise = PROSE
    with house.server() as channel, pytest.raises(FailedPrecondition) as caught:
        house.annotate(channel, max_in_flight=8)
    assert len(house.chat.asked) == 2 * ENOUGH
    assert spent(house) == pytest.approx(house.chat.usd(2.5, 10.0))
    said = caught.value
    assert (said.field, said.value) == ("annotate.oracle", "gpt-4o")
    assert f"{2 * ENOUGH} times: {generated.NO_OBJECT.rstrip('.')}" in said.message
    assert f"{spent(house):.4f} USD ({2 * ENOUGH * 1020} tokens)" in said.message
    assert "secret" not in str(said)
    assert str(N - ENOUGH) in said.remedy


def test_begun_again_it_pays_for_none_of_these_again_and_goes_on_with_the_others_once_it_is_of_use(
    house: House,
) -> None:
    house.chat.otherwise = PROSE
    with house.server() as channel:
        for number in range(2):
            with pytest.raises(FailedPrecondition):
                house.annotate(channel, f"op/{number}", max_in_flight=8)
        assert len(house.chat.asked) == 2 * 2 * ENOUGH
        house.chat.otherwise = says(well)
        rows, _, summary = house.annotate(channel, "op/2", max_in_flight=8)
    assert len(rows) == (N - 2 * ENOUGH) * N_EACH
    assert summary.images_without_question == {f"{annotation.USELESS}: {generated.NO_OBJECT}": 2 * ENOUGH}
    assert len(house.chat.asked) == 2 * 2 * ENOUGH + N - 2 * ENOUGH
    assert spent(house) == pytest.approx(house.chat.usd(2.5, 10.0))


def test_where_no_image_is_left_it_stays_an_error_and_costs_nothing_more(house: House) -> None:
    house.chat.otherwise = PROSE
    with house.server() as channel:
        for number in range(5):
            with pytest.raises(FailedPrecondition, match="gave nothing of use"):
                house.annotate(channel, f"op/{number}", max_in_flight=8)
    assert len(house.chat.asked) == 2 * N


def test_one_useful_answer_among_the_first_lets_all_be_asked(house: House) -> None:
    house.chat.script.extend([PROSE] * (2 * ENOUGH - 1))
    with house.server() as channel:
        rows, _, summary = house.annotate(channel, max_in_flight=1)
    assert summary.images_without_question == {f"{annotation.USELESS}: {generated.NO_OBJECT}": ENOUGH - 1}
    assert len(rows) == (N - ENOUGH + 1) * N_EACH


def test_what_it_refuses_says_nothing_of_its_answers(house: House) -> None:
    """Eight of the first images are refused, so that only eight are useless: it is asked about more before it is judged."""
    house.chat.script.extend([refuses(400)] * 8)
    house.chat.otherwise = PROSE
    with house.server() as channel, pytest.raises(FailedPrecondition, match="any of 24 images"):
        house.annotate(channel, max_in_flight=8)
    assert len(house.chat.asked) == 8 + 2 * 24
