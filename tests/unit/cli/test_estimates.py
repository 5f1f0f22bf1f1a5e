"""Who agrees to the costs of a run."""

from __future__ import annotations

import io

import pytest

from cli.estimates import agree, show_estimate
from medq.controller.v1 import controller_pb2 as pb
from shared.errors import InvalidArgument


@pytest.fixture
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())


@pytest.mark.usefixtures("no_terminal")
def test_without_a_terminal_real_costs_need_yes():
    with pytest.raises(InvalidArgument) as refused:
        agree(pb.EstimateRunResponse(is_real=True), is_agreed=False)
    assert (refused.value.field, "--yes" in refused.value.remedy) == ("yes", True)


@pytest.mark.usefixtures("no_terminal")
@pytest.mark.parametrize(("is_real", "is_agreed"), [(False, False), (False, True), (True, True)])
def test_what_is_simulated_or_agreed_to_goes_on(is_real: bool, is_agreed: bool):
    agree(pb.EstimateRunResponse(is_real=is_real), is_agreed)


def test_a_person_sees_each_line_what_it_rests_on_and_the_warnings(capsys: pytest.CaptureFixture[str]):
    line = pb.EstimatedCost(
        round=1, kind="oracle", endpoint="gpt", usd=pb.Range(low=1.5, high=12), calls=pb.Range(low=4, high=4)
    )
    show_estimate(pb.EstimateRunResponse(rounds=[line], assumptions=["An assumption."], warnings=["It is too dear."]))
    told = capsys.readouterr().err
    for words in ("oracle: gpt", "1.50 to 12.00", "An assumption.", "Warning: It is too dear."):
        assert words in told
