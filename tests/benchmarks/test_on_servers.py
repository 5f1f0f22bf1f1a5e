"""The benchmarks that stand on real servers, with little to do."""

from __future__ import annotations

import pytest

from tests.support.benchmarks import figures_of
from tests.support.ports import OF_A_DEPLOYMENT, free_port


def test_the_event_bus_loses_nothing(kafka: str, postgres: str) -> None:
    figures = figures_of("bus", "--events", "40", "--batch", "10", "--kafka", kafka, "--postgres", postgres)
    assert figures["medq"]["lost"] == figures["plain"]["lost"] == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_one_worker_and_two_take_a_folder_in(kafka: str, s3: str, postgres: str) -> None:
    small = ("--images", "12", "--port", str(free_port(OF_A_DEPLOYMENT)))
    figures = figures_of("ingest", *small, "--kafka", kafka, "--s3", s3, "--postgres", postgres)
    assert figures["n_images"] == 12
    assert set(figures["seconds"]) == {"1", "2"}


def test_no_decision_is_lost_or_doubled_though_the_server_is_killed(postgres: str) -> None:
    figures = figures_of(
        "review_decisions", "--decisions", "40", "--clients", "2", "--kills", "1", "--postgres", postgres
    )
    assert figures["is_floor_met"]
    assert {"sqlite", "postgresql"} <= figures.keys()


def test_reviewers_get_their_next_tasks(postgres: str) -> None:
    small = ("--tasks", "200", "--reviewers", "2", "--rounds", "2", "--pause", "0")
    figures = figures_of("review_queue", *small, "--postgres", postgres)
    assert {"sqlite", "postgresql"} <= figures.keys()
