"""Arrays that are written part by part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shared.objects.arrays import write_array


@pytest.mark.parametrize("shape", [(7, 3), (7,), (1, 2, 2)])
def test_the_file_is_that_of_numpy(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape), dtype="<f4").reshape(shape)
    write_array(tmp_path / "parts.npy", len(array), (array[start : start + 2] for start in range(0, len(array), 2)))
    np.save(tmp_path / "whole.npy", array)
    assert (tmp_path / "parts.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


@pytest.mark.parametrize("parts", [[], [np.zeros((2, 2))], [np.zeros((2, 2)), np.zeros((1, 3))], [np.zeros((4, 2))]])
def test_parts_that_are_no_array_together_are_refused(tmp_path: Path, parts: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match="array"):
        write_array(tmp_path / "parts.npy", 3, parts)
