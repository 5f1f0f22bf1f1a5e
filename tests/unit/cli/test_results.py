"""What a run's result says in a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.results import show_result


@pytest.mark.parametrize(("n", "n_told"), [(3, 1), (0, 0)])
def test_paid_calls_without_stated_usage_are_told_since_the_bill_may_be_lower(
    capsys: pytest.CaptureFixture[str], n: int, n_told: int
) -> None:
    settled = {"n": 9, "n_usage_unstated": n, "usd_usage_unstated": 0.25 * n}
    show_result({"arms": {}, "measured": {"ledger": {"total": {"settled": settled}}}}, Path("nowhere"))
    told = capsys.readouterr().err
    assert told.count("Of 3 paid calls the endpoint did not state what was used.") == n_told
    assert told.count("together 0.7500 US dollars: its bill may be lower") == n_told
