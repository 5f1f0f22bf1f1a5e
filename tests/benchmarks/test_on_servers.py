"""The benchmarks that stand on real servers, with little to do."""

from __future__ import annotations

import pytest

from tests.support.benchmarks import figures_of


def test_the_event_bus_loses_nothing(kafka: str, postgres: str) -> None:
    figures = figures_of("bus", "--events", "40", "--batch", "10", "--kafka", kafka, "--postgres", postgres)
    assert figures["medq"]["lost"] == figures["plain"]["lost"] == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_one_worker_and_two_take_a_folder_in(kafka: str, s3: str, postgres: str) -> None:
    figures = figures_of("ingest", "--images", "12", "--kafka", kafka, "--s3", s3, "--postgres", postgres)
    assert figures["n_images"] == 12
    assert set(figures["seconds"]) == {"1", "2"}
