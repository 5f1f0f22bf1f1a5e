"""A training server and the leakage check, for each test its own."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.support.servers import short_folder
from tests.support.training_house import House


@pytest.fixture
def house():
    with short_folder() as folder, ExitStack() as stack:
        house = House(folder)
        stack.callback(lambda: house.gate_server.stop(0).wait())
        stack.callback(house.bus.close)
        yield house
