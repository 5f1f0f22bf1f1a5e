"""Which strength of a degradation is mild and which is severe, so that both cost the same quality in every modality.

    python -m studies.images.severities [--check]

finds them anew and writes `strengths.yaml`: the strength at which the median `quality_loss` over phantoms that no study uses
is `TARGETS`. With `--check` it measures the losses at the strengths that stand there and changes nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from functools import cache

import numpy as np
import yaml

from studies.images.degradations import DEGRADATIONS, NONE, SEVERITIES, Degradation
from studies.images.phantoms import make_phantom
from studies.images.quality_loss import quality_loss
from studies.images.strengths import STRENGTHS_FILE

TARGETS: Mapping[str, float] = {"mild": 0.10, "severe": 0.30}
"""Median loss of each severity."""

TOLERANCE = 0.15
"""Of a target, as a part of it: views and the qualities of a codec are whole numbers, so that not each loss can be had."""

RANGES: Mapping[str, tuple[float, float]] = {
    "motion": (0.002, 0.5),
    "aliasing": (1.01, 8.0),
    "inhomogeneity": (0.1, 1.0),
    "noise": (0.002, 0.3),
    "susceptibility": (0.02, 0.4),
    "spikes": (0.005, 0.5),
    "streaks": (2.5, 30.0),
    "metal": (0.004, 0.1),
    "rings": (0.02, 1.0),
    "cupping": (0.02, 1.0),
    "illumination": (0.1, 1.0),
    "contrast": (0.1, 1.0),
    "reflections": (1.0, 60.0),
    "bubbles": (1.0, 60.0),
    "spots": (1.0, 40.0),
    "defocus": (0.01, 0.2),
    "colour": (0.02, 1.0),
    "compression": (0.6, 25.0),
}
"""Strengths between which those of a degradation are looked for, in the unit of its function."""

FIRST_SEED = 910_000_000
N_SOURCES = 24
_HALVINGS = 12


def median_loss(modality: str, function: Degradation, strength: float) -> float:
    """The median loss over `N_SOURCES` phantoms, 96 pixels a side; each has its own fixed chance."""
    losses = [
        quality_loss(clean, function(clean, strength, np.random.default_rng(seed)))
        for seed, clean in enumerate(_phantoms(modality))
    ]
    return float(np.median(losses))


def calibrated(modality: str, name: str, target: float) -> float:
    """The strength whose median loss is nearest to a target, by halving on a logarithmic scale; three digits."""
    function, (low, high) = DEGRADATIONS[modality][name], RANGES[name]
    for _ in range(_HALVINGS):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if median_loss(modality, function, middle) < target else (low, middle)
    return float(f"{np.sqrt(low * high):.3g}")


def main() -> None:
    """Write the table, or check the one that is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="measure the losses of the strengths that stand there")
    is_check = parser.parse_args().check
    known = yaml.safe_load(STRENGTHS_FILE.read_text(encoding="utf-8")) if is_check else {}
    table: dict[str, dict[str, dict[str, float]]] = {}
    n_missed = 0
    for modality, names in DEGRADATIONS.items():
        for name, function in names.items():
            if name == NONE:
                continue
            row = known.get(modality, {}).get(name) or {
                severity: calibrated(modality, name, TARGETS[severity]) for severity in SEVERITIES
            }
            table.setdefault(modality, {})[name] = row
            losses = {severity: median_loss(modality, function, row[severity]) for severity in SEVERITIES}
            n_missed += sum(abs(losses[key] - TARGETS[key]) > TOLERANCE * TARGETS[key] for key in SEVERITIES)
            shown = "  ".join(f"{key} {row[key]:<8g} loss {losses[key]:.3f}" for key in SEVERITIES)
            sys.stdout.write(f"{modality:<15} {name:<15} {shown}\n")
            sys.stdout.flush()
    if not is_check:
        STRENGTHS_FILE.write_text(yaml.safe_dump(table, sort_keys=False), encoding="utf-8")
    if n_missed:
        sys.exit(f"{n_missed} losses are more than {100 * TOLERANCE:g} % from their target")


@cache
def _phantoms(modality: str) -> list[np.ndarray]:
    return [make_phantom(modality, FIRST_SEED + number) for number in range(N_SOURCES)]


if __name__ == "__main__":
    main()
