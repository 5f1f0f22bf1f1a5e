"""What holds for the vectors of every encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidArgument


def unit_rows(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Rows divided by their norms: (n, d) of floats to (n, d) float32. A row of zeros stays one."""
    wide = rows.astype(np.float64)
    return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12), dtype=np.float32)


def require_texts(texts: Sequence[str]) -> None:
    """InvalidArgument for a text without any sign: it would have no direction."""
    for text in texts:
        if not text.strip():
            raise InvalidArgument("A text needs a sign.", field="texts", value=text, remedy="Leave it out.")
