"""An oracle server with its neighbours, for each test its own."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.support.oracle_house import House
from tests.support.servers import short_folder


@pytest.fixture
def house():
    with short_folder() as folder, ExitStack() as stack:
        house = House(folder)
        stack.callback(lambda: house.fake_server.stop(0).wait())
        stack.callback(house.bus.close)
        yield house
