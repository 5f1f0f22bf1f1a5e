"""The sum of the random kills: enough of them, every run equal."""

from __future__ import annotations

import os

import pytest

from tests.faults.random_kills import Chain, alive_of, is_passed, summary
from tests.faults.verdict import Verdict


def chain(*kills: str, problems: tuple[str, ...] = (), n_unknown: int = 0) -> Chain:
    return Chain(kills, Verdict("0-0", 1.0, len(kills), 0, problems, n_unknown=n_unknown))


@pytest.mark.parametrize(
    ("chains", "is_good"),
    [
        ([chain("train"), chain("annotate", "train")], True),
        ([chain("annotate", "train")], False),
        ([chain("train"), chain("annotate", "train", problems=("the report differs",))], False),
        ([], False),
    ],
)
def test_three_kills_pass_where_there_were_three_and_every_run_was_equal(chains: list[Chain], is_good: bool) -> None:
    assert is_passed(chains, 3) is is_good


def test_the_table_counts_kills_by_step_and_what_they_left() -> None:
    lines = summary(
        [chain("train", "annotate", "train", n_unknown=2), chain("train", problems=("the report differs",))]
    )
    assert [line.split() for line in lines[1:3]] == [["3", "train"], ["1", "annotate"]]
    assert lines[-1] == "kills 4, runs that ended 2, equal 1, lost 0, doubled 0, unknown 2"


def test_a_living_process_of_a_session_is_seen() -> None:
    assert os.getpid() in alive_of({os.getsid(0)})
    assert alive_of({-1}) == []
