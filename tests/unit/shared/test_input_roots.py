"""Which paths a service reads where nobody says which: those of its own machine's user, and none that the network names."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.paths import ANYWHERE
from shared.rpc.input_roots import roots_of
from shared.settings import InputSettings


@pytest.mark.parametrize("listen", ["unix:/run/x.sock", "127.0.0.1:0", "localhost:50051", "[::1]:50051"])
def test_a_service_of_this_machine_alone_reads_what_its_user_names(listen: str) -> None:
    assert roots_of(InputSettings(listen=listen)) == ANYWHERE


@pytest.mark.parametrize("listen", ["0.0.0.0:50051", "[::]:50051", "10.0.0.7:1", "medq.example:50051", ":50051"])
def test_a_service_that_the_network_reaches_reads_nothing_that_no_setting_names(listen: str) -> None:
    assert roots_of(InputSettings(listen=listen)) == ()


@pytest.mark.parametrize("listen", ["unix:/run/x.sock", "0.0.0.0:50051"])
def test_the_setting_holds_wherever_the_service_listens(listen: str) -> None:
    assert roots_of(InputSettings(listen=listen, input_roots=(Path("/data"),))) == (Path("/data"),)
