"""Levels of 16 bits give values back: exactly where they are whole numbers of a small range, else within half a step."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from services.embedding.domain.depth import WHITE, Depth, to_depth, values_of

WHOLE = [np.int8, np.uint8, ">i2", np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
SLOPES = st.one_of(st.integers(-9, 9).filter(bool).map(float), st.floats(-1e3, 1e3).filter(lambda s: abs(s) > 1e-3))
"""Of a rescale."""


def back(found: Depth) -> NDArray[np.float64]:
    return values_of(found.levels, found.low, found.step)


@given(kind=st.sampled_from(WHOLE), data=st.data(), slope=SLOPES, intercept=st.integers(-2000, 2000))
def test_whole_numbers_come_back_exactly_where_they_have_a_level_each(
    kind: type, data: st.DataObject, slope: float, intercept: int
) -> None:
    limits = np.iinfo(np.dtype(kind))
    first = data.draw(st.integers(limits.min, limits.max))
    last = min(limits.max, first + WHITE)
    stored = data.draw(arrays(kind, (3, 4), elements=st.integers(first, last)))
    found = to_depth(stored, slope, float(intercept))
    assert found is not None
    assert found.step == abs(slope)
    steps = [int(one) - int(stored.min()) if slope > 0 else int(stored.max()) - int(one) for one in stored.flat]
    assert found.levels.flatten().tolist() == steps
    wanted = [slope * int(one) + intercept for one in stored.flat]
    if slope.is_integer() and max(map(abs, wanted)) < 2**53:
        assert back(found).flatten().tolist() == wanted
    else:
        np.testing.assert_allclose(back(found).flat, wanted, rtol=1e-12, atol=1e-9)


def test_whole_numbers_that_no_float_tells_apart_have_a_level_each() -> None:
    stored = np.array([[-4295501428182610690, -4295501428182676224]])
    found = to_depth(stored)
    assert found is not None
    assert (found.step, found.levels.tolist()) == (1.0, [[65534, 0]])


@given(
    stored=arrays(np.float64, (5, 5), elements=st.floats(-1e300, 1e300)), slope=SLOPES, intercept=st.floats(-1e6, 1e6)
)
def test_any_numbers_come_back_within_half_a_step(stored: NDArray[np.float64], slope: float, intercept: float) -> None:
    found = to_depth(stored, slope, intercept)
    assert found is not None
    wanted = stored * slope + intercept
    rounding = 1e-12 * np.abs(wanted).max() + 1e-12 * abs(intercept)
    assert np.abs(back(found) - wanted).max() <= found.step / 2 + rounding
    assert found.step <= max(np.ptp(wanted) / WHITE + rounding, abs(slope))


def test_what_is_no_number_is_black_and_infinity_white() -> None:
    stored = np.array([[1.5, 2.5, np.nan], [np.inf, -np.inf, 3.5]])
    for slope, levels in ((2.0, [0, 32768, 0, WHITE, 0, WHITE]), (-2.0, [WHITE, 32768, 0, 0, WHITE, 0])):
        found = to_depth(stored, slope)
        assert found is not None
        assert found.levels.flatten().tolist() == pytest.approx(levels, abs=1)


def test_floating_point_of_whole_numbers_keeps_each_of_them() -> None:
    found = to_depth(np.array([[-1024.0, np.nan, 3071.0, 40.0]]))
    assert found is not None
    assert (found.low, found.step, found.levels.tolist()) == (-1024.0, 1.0, [[0, 0, 4095, 1064]])


@pytest.mark.parametrize("slope", [0.0, np.inf, np.nan, 1e308])
def test_a_rescale_without_a_finite_range_gives_no_levels(slope: float) -> None:
    assert to_depth(np.array([[0, 4000]], np.uint16), slope) is None


def test_an_image_of_many_parts_is_mapped_as_a_small_one() -> None:
    stored = np.random.default_rng(0).integers(-300, 300, (1100, 1100)).astype(np.int16)
    for one in (stored, stored.astype(np.float32), stored * np.float32(1.1)):
        found = to_depth(one)
        assert found is not None
        np.testing.assert_allclose(back(found), one, atol=found.step / 2 if found.step != 1 else 0)
