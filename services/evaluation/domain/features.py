"""The joint feature of a failure: what was seen and what was asked, in one vector. It knows no encoder."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidArgument


def unit_rows(x: NDArray[np.floating], field: str = "vectors") -> NDArray[np.float64]:
    """Each row divided by its Euclidean norm.

    Args:
        x: (n, d) finite, no row zero; not modified.
        field: What the rows are called in an error.

    Returns: (n, d) float64 rows of unit norm.
    Raises: InvalidArgument: not a matrix, a number that is not finite, or a zero row.
    """
    rows = np.asarray(x, dtype=np.float64)
    if rows.ndim != 2 or not np.isfinite(rows).all():
        raise InvalidArgument("A matrix of finite numbers is needed.", field=field, value=rows.shape)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if (norms == 0).any():
        raise InvalidArgument("A zero vector has no direction.", field=field, value=int(np.argmin(norms)))
    unit: NDArray[np.float64] = rows / norms
    return unit


def joint_features(
    visual: NDArray[np.floating], text: NDArray[np.floating], visual_weight: float
) -> NDArray[np.float32]:
    """[sqrt(w) * visual, sqrt(1 - w) * text] of unit-normed parts.

    The squared norm of a row is w + (1 - w) = 1, and the cosine of two rows is the weighted mean of the cosines of
    their parts: w * cos(visual) + (1 - w) * cos(text). So w says what share of the similarity is visual.

    Args:
        visual: (n, d_v) image embeddings, no row zero.
        text: (n, d_t) question-and-answer embeddings of the same items, no row zero.
        visual_weight: w in [0, 1]; the paper does not give it.

    Returns: (n, d_v + d_t) float32, rows of unit norm.
    Raises: InvalidArgument: shapes, values or the weight are out of range.
    Source: section 2.2 ("combines its visual content and question-answer information"); the form is ours.
    """
    if len(visual) != len(text):
        raise InvalidArgument("Each failure has one image and one text vector.", field="text", value=len(text))
    if not 0 <= visual_weight <= 1:
        raise InvalidArgument("A weight lies in [0, 1].", field="visual_weight", value=visual_weight)
    parts = (np.sqrt(visual_weight) * unit_rows(visual, "visual"), np.sqrt(1 - visual_weight) * unit_rows(text, "text"))
    return np.concatenate(parts, axis=1).astype(np.float32)
