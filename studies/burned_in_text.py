"""How many burned-in texts are found, and how many clean images are held back for nothing: `python -m studies.burned_in_text`.

The images are **simulated** (phantoms of five modalities, degraded by physics) or come inside the wheels of pydicom and
scikit-image, and the texts are planted (`studies.planted_text`). `--fit` fits the weights of `shared.burned_in_text`
to seeds below `FIRST_TEST_SEED`; what is printed without it is of the seeds above, which no weight has seen. Nothing is written.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import skimage
from PIL import Image
from scipy.optimize import minimize
from scipy.special import expit

from shared.burned_in_text import QUARANTINE_FROM, Line, find_lines, text_doubt
from studies.degradations import DEGRADATIONS
from studies.optics import to_bytes
from studies.phantoms import MODALITIES, make_phantom
from studies.planted_text import Pixels, Planted, plant
from studies.real_images import read_image, wheel_sources

FIRST_TEST_SEED = 1_000_000
"""Images from this seed on are measured; those below are fitted to."""

_SIZES = (96, 128, 192, 256, 320)  # pixels
_TEXTURES = ("brick", "camera", "coffee", "coins", "grass", "gravel")
"""Files of scikit-image without text: what a detector of strokes takes for letters most easily."""
_RIDGE = 3.0
_SAME = 0.7  # a line that lies so far in the box of planted text is that text


def main() -> None:
    """Measure, or fit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20, help="phantoms of each modality")
    parser.add_argument("--fit", action="store_true", help="print weights instead")
    asked = parser.parse_args()
    if asked.fit:
        sys.stdout.write(f"{np.round(fit(asked.images), 3).tolist()}\n")
        return
    for name, (found, n_texts, alarms, n_clean) in measure(asked.images).items():
        line = f"{name}: found {found} of {n_texts}, false alarms {alarms} of {n_clean}"
        sys.stdout.write(line + "\n")


def clean_image(modality: str, seed: int) -> Pixels:
    """A degraded phantom without text, (h, w, 3); the seed decides its size, its degradation and the severity."""
    rng = np.random.default_rng([seed, 77])
    names = list(DEGRADATIONS[modality])
    image = make_phantom(modality, seed, int(rng.choice(_SIZES)))
    severity = ("mild", "severe")[int(rng.integers(2))]
    return _colours(DEGRADATIONS[modality][names[rng.integers(len(names))]](image, severity, rng))


def planted_image(modality: str, seed: int) -> Planted:
    """The same phantom with text."""
    return plant(clean_image(modality, seed), np.random.default_rng([seed, 78]))


def measure(n_images: int) -> dict[str, tuple[int, int, int, int]]:
    """Texts found, texts planted, false alarms and clean images, by modality; the real images by theirs, three texts each."""
    counts: dict[str, Counter[str]] = {}

    def note(name: str, clean: Pixels, planted: list[Planted]) -> None:
        count = counts.setdefault(name, Counter())
        count.update(clean=1, texts=len(planted), alarms=int(_is_held(clean)))
        count.update(found=sum(_is_held(one.pixels) for one in planted))

    for modality in MODALITIES:
        for seed in range(FIRST_TEST_SEED, FIRST_TEST_SEED + n_images):
            note(modality, clean_image(modality, seed), [planted_image(modality, seed)])
    for source in wheel_sources():
        pixels = _colours(read_image(source))[:512, :512]
        texts = [plant(pixels, np.random.default_rng([FIRST_TEST_SEED, number])) for number in range(3)]
        note(f"real {source.modality}", pixels, texts)
    return {name: (one["found"], one["texts"], one["alarms"], one["clean"]) for name, one in counts.items()}


def fit(n_images: int) -> np.ndarray:
    """Weights of a logistic regression of all lines that are found: those in planted text against all others; the last is the
    constant. Properties are weighed as they are.
    """
    text, other = [], []
    for modality in MODALITIES:
        for seed in range(n_images):
            planted = planted_image(modality, seed)
            text += [line.properties for line in find_lines(planted.pixels) if _lies_in(line, planted)]
            other += [line.properties for line in find_lines(clean_image(modality, seed))]
    for pixels in _textures():
        other += [line.properties for line in find_lines(pixels)]
    return fit_weights(np.array(text), np.array(other))


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
    return np.r_[scaled, found[-1] - scaled @ mean]


def _lies_in(line: Line, planted: Planted) -> bool:
    top, left, bottom, right = line.box
    box = planted.box
    height, width = min(bottom, box[2]) - max(top, box[0]), min(right, box[3]) - max(left, box[1])
    return height > 0 and width > 0 and height * width >= _SAME * (bottom - top) * (right - left)


def _is_held(pixels: Pixels) -> bool:
    return text_doubt(pixels) >= QUARANTINE_FROM


def _textures() -> Iterator[Pixels]:
    for name in _TEXTURES:
        with Image.open(Path(skimage.__file__).parent / "data" / f"{name}.png") as picture:
            yield np.asarray(picture.convert("RGB"))


def _colours(image: np.ndarray) -> Pixels:
    pixels = to_bytes(image)
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


if __name__ == "__main__":
    main()
