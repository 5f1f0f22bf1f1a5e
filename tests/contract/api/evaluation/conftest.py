"""An evaluation service with what it stands on, for each test its own."""

from __future__ import annotations

import pytest

from tests.support.evaluation_world import World
from tests.support.servers import short_folder


@pytest.fixture
def world():
    with short_folder() as folder:
        yield World(folder)
