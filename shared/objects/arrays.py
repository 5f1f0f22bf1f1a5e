"""Writes a `.npy` file part by part, for arrays that should not lie in memory; the bytes are those of `numpy.save`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def write_array(path: Path, n_rows: int, parts: Iterable[NDArray[Any]]) -> None:
    """Write an array of `n_rows` rows.

    Args:
        path: The file, made anew.
        n_rows: Of all parts together, at least 1.
        parts: (n, ...) arrays, alike but for n, in order.

    Raises:
        ValueError: The parts are not alike, or have not `n_rows` rows together.
    """
    form, n_written = None, 0
    with path.open("wb") as target:
        for part in parts:
            part = np.ascontiguousarray(part)
            if form is None:
                form = part.dtype, part.shape[1:]
                header = {"descr": np.lib.format.dtype_to_descr(part.dtype), "fortran_order": False}
                np.lib.format.write_array_header_1_0(target, {**header, "shape": (n_rows, *form[1])})
            if form != (part.dtype, part.shape[1:]):
                raise ValueError("the parts of the array are not alike")
            target.write(part.data)
            n_written += len(part)
    if n_written != n_rows:
        raise ValueError(f"the array has {n_written} of {n_rows} rows")
