"""Tests in several processes share a real server: what one of them started lives until the last has ended."""

from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.real_servers import address_of, endpoint, run_servers


@pytest.fixture(autouse=True)
def _own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No server is up at first."""
    monkeypatch.delenv("MEDQ_TEST_S3", raising=False)
    monkeypatch.setenv("MEDQ_DEV_RUN", str(tmp_path))
    monkeypatch.setenv("MEDQ_S3_PORT", str(free_port()))


def is_up() -> bool:
    return run_servers("pid", "s3").returncode == 0


def test_the_last_to_end_stops_it() -> None:
    first, second = endpoint("s3"), endpoint("s3")
    assert next(first) == next(second)
    assert not list(first)
    assert is_up()
    assert not list(second)
    assert not is_up()


def test_one_that_was_up_before_stays_up() -> None:
    address = address_of("s3", run_servers("up", "s3"))
    assert list(endpoint("s3")) == [address]
    assert is_up()
    run_servers("down", "s3").check_returncode()
