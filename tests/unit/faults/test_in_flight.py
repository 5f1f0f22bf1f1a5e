"""What counts as a call in flight."""

from __future__ import annotations

import pytest

from medq.controller.v1.controller_pb2 import Cost, LedgerEntry
from tests.faults.in_flight import calls_reserved


@pytest.mark.parametrize(
    ("kind", "state", "is_in_flight"),
    [
        ("oracle", "reserved", True),
        ("expert", "reserved", True),
        ("compute", "reserved", False),
        ("oracle", "settled", False),
        ("oracle", "unknown", False),
        ("oracle", "released", False),
    ],
)
def test_a_call_of_oracle_or_expert_is_in_flight_while_it_is_reserved(
    kind: str, state: str, is_in_flight: bool
) -> None:
    entry = LedgerEntry(cost=Cost(key="k", kind=kind), attempt=2, state=state)
    assert calls_reserved([entry]) == ({("k", 2)} if is_in_flight else set())
