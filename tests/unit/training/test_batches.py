"""How a step's samples are shared among processes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.training.domain.batches import share_step
from shared.errors import InvalidArgument


@given(size=st.integers(1, 64), accumulation=st.integers(1, 16), processes=st.integers(1, 16))
def test_a_step_keeps_its_samples_and_no_batch_grows(size: int, accumulation: int, processes: int) -> None:
    if size * accumulation % processes:
        with pytest.raises(InvalidArgument, match=r"cannot be shared"):
            share_step(size, accumulation, processes)
        return
    share, passes = share_step(size, accumulation, processes)
    assert share * passes * processes == size * accumulation
    assert share <= size


def test_one_process_keeps_what_was_asked_for() -> None:
    assert share_step(8, 3, 1) == (8, 3)


def test_accumulation_is_shared_before_batches_shrink() -> None:
    assert share_step(8, 4, 2) == (8, 2)
    assert share_step(8, 1, 2) == (4, 1)
