"""Fits the weights of `shared.burned_in_text`, to lines in planted text against all others: `studies.burned_in_text --fit`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import skimage
from PIL import Image
from scipy.optimize import minimize
from scipy.special import expit

from shared.burned_in_text import Line, find_lines
from studies.images.phantoms import MODALITIES
from studies.planted_text import Pixels, Planted
from studies.text_trials import clean_image, planted_image

_TEXTURES = ("brick", "camera", "coffee", "coins", "grass", "gravel")
"""Files of scikit-image without text: what a detector of strokes takes for letters most easily."""
_RIDGE = 3.0
_CAUTION = 2.1
"""Taken from the constant: an image has many lines, and the most doubtful decides."""
_SAME = 0.7  # a line that lies so far in the box of planted text is that text


def fit(n_images: int) -> np.ndarray:
    """Weights of a logistic regression of all lines that are found: those in planted text against all others; the last is the
    constant. The properties are weighed as they are.
    """
    text, other = [], []
    for modality in MODALITIES:
        for seed in range(n_images):
            planted = planted_image(modality, seed)
            text += [line.properties for line in find_lines(planted.pixels) if _lies_in(line, planted)]
            other += [line.properties for line in find_lines(clean_image(modality, seed))]
    for pixels in _textures():
        other += [line.properties for line in find_lines(pixels)]
    weights = fit_weights(np.array(text), np.array(other))
    weights[-1] -= _CAUTION
    return weights


def fit_weights(text: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Both classes weigh the same; a ridge on standardised properties keeps weights small."""
    values = np.concatenate([text, other])
    mean, spread = values.mean(axis=0), values.std(axis=0) + 1e-9
    rows = np.column_stack([(values - mean) / spread, np.ones(len(values))])
    is_text = np.r_[np.ones(len(text)), np.zeros(len(other))]
    share = np.where(is_text == 1, 0.5 / len(text), 0.5 / len(other)) * 1000

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        score = rows @ weights
        pull = np.r_[weights[:-1], 0.0] * _RIDGE
        value = float((share * (np.logaddexp(0, score) - is_text * score)).sum() + (pull * weights).sum() / 2)
        return value, rows.T @ (share * (expit(score) - is_text)) + pull

    found = minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B").x
    scaled = found[:-1] / spread
    return np.asarray(np.r_[scaled, found[-1] - scaled @ mean])


def _lies_in(line: Line, planted: Planted) -> bool:
    top, left, bottom, right = line.box
    box = planted.box
    height, width = min(bottom, box[2]) - max(top, box[0]), min(right, box[3]) - max(left, box[1])
    return height > 0 and width > 0 and height * width >= _SAME * (bottom - top) * (right - left)


def _textures() -> Iterator[Pixels]:
    for name in _TEXTURES:
        with Image.open(Path(skimage.__file__).parent / "data" / f"{name}.png") as picture:
            yield np.asarray(picture.convert("RGB"))
