"""How many burned-in texts are found, and how many clean images are held back for nothing: `python -m studies.burned_in_text`.

The images are **simulated** (phantoms of five modalities, degraded by physics), or variants of the few that come inside the
wheels of pydicom, scikit-image and nibabel; the texts are planted (`studies.planted_text`). `--fit` fits the weights of
`shared.burned_in_text` to seeds below `FIRST_TEST_SEED`; what is printed without it is of the seeds above, which no weight has
seen. Nothing is written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy.stats import binomtest

from studies.images.phantoms import MODALITIES
from studies.planted_text import FONTS, Planted
from studies.text_fit import fit
from studies.text_trials import HEIGHTS, Trial, phantom_trials, real_trials

_CONTRASTS = ((0, 40), (40, 80), (80, 120), (120, 256))  # grey levels
_FITTED = 12  # phantoms of each modality


def main() -> None:
    """Measure, or fit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200, help="phantoms of each modality, with text and without")
    parser.add_argument("--variants", type=int, default=12, help="variants of each real source, with text and without")
    parser.add_argument(
        "--fit", action="store_true", help=f"print weights fitted to {_FITTED} phantoms of each modality"
    )
    asked = parser.parse_args()
    if asked.fit:
        sys.stdout.write(f"{np.round(fit(_FITTED), 3).tolist()}\n")
        return
    for line in of_phantoms(list(phantom_trials(asked.images))):
        sys.stdout.write(f"{line}\n")
    for line in of_sources(list(real_trials(asked.variants))):
        sys.stdout.write(f"{line}\n")


def of_phantoms(trials: Sequence[Trial]) -> Iterator[str]:
    """By modality, then the texts by what they look like; each with its 95 % interval."""
    for modality in MODALITIES:
        own = [one for one in trials if one.modality == modality]
        yield f"{modality} phantoms: {_found(own)}; {_held(own)}"
    yield f"all phantoms: {_found(trials)}; {_held(trials)}"
    for low, high in HEIGHTS:
        yield f"capitals of {low} to {high} pixels: {_found(trials, _between('height', low, high + 1))}"
    for low, high in _CONTRASTS:
        yield f"contrast {low} to {high}: {_found(trials, _between('contrast', low, high))}"
    yield f"fonts that were fitted to: {_found(trials, lambda text: text.font in FONTS)}"
    yield f"other fonts: {_found(trials, lambda text: text.font not in FONTS)}"


def of_sources(trials: Sequence[Trial]) -> Iterator[str]:
    """By modality of the real images, then by source: variants of one source are not independent, so there is no interval."""
    for modality in dict.fromkeys(one.modality for one in trials):
        own = [one for one in trials if one.modality == modality]
        sources = dict.fromkeys(one.source for one in own)
        yield f"real {modality}, sources: {len(sources)}"
        for source in sources:
            of_it = [one for one in own if one.source == source]
            yield f"  {source}: {_counted(_texts(of_it), 'found')}; {_counted(_clean(of_it), 'held')}"


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson's score; 0..1 where nothing was tried."""
    if not n:
        return 0.0, 1.0
    found = binomtest(hits, n).proportion_ci(0.95, "wilson")
    return float(found.low), float(found.high)


def _between(property_name: str, low: float, high: float) -> Callable[[Planted], bool]:
    return lambda text: low <= getattr(text, property_name) < high


def _found(trials: Sequence[Trial], is_asked: Callable[[Planted], bool] = lambda text: True) -> str:
    return _with_interval(_texts(trials, is_asked), "found")


def _held(trials: Sequence[Trial]) -> str:
    return _with_interval(_clean(trials), "false alarms")


def _texts(trials: Sequence[Trial], is_asked: Callable[[Planted], bool] = lambda text: True) -> list[bool]:
    return [one.is_held for one in trials if one.planted is not None and is_asked(one.planted)]


def _clean(trials: Sequence[Trial]) -> list[bool]:
    return [one.is_held for one in trials if one.planted is None]


def _with_interval(held: Sequence[bool], word: str) -> str:
    low, high = wilson(sum(held), len(held))
    return f"{_counted(held, word)} ({100 * low:.1f} to {100 * high:.1f} %)"


def _counted(held: Sequence[bool], word: str) -> str:
    return f"{word} {sum(held)} of {len(held)}"


if __name__ == "__main__":
    main()
