"""Decisions of clients whose connections break, of a server that is killed; in full size: `benchmarks.review_decisions`."""

from __future__ import annotations

import pytest

from benchmarks.review_decisions import is_whole, run
from tests.support.servers import short_folder


@pytest.mark.slow
def test_no_decision_is_lost_or_doubled_where_connections_break_and_the_server_is_killed() -> None:
    with short_folder() as folder:
        figures = run(folder, "", decisions=60, clients=3, kills=2)
    assert figures["calls_repeated"] > 0
    assert is_whole(figures, 60), figures
