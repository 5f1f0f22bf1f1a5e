"""A controller and the services that it calls, for each test its own."""

from __future__ import annotations

import pytest

from tests.support.controller_house import House
from tests.support.servers import short_folder


@pytest.fixture
def house():
    with short_folder() as folder:
        house = House(folder)
        yield house
        house.server.stop(0).wait()
