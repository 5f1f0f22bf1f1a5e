"""The slice `real` of a study's test: degraded views of the few real images that the installed wheels ship.

real.tsv    real/     never trained on; so few sources show that the model runs on real images, not how good it is
"""

from __future__ import annotations

from pathlib import Path

from studies.folder import write_rows
from studies.images.real_images import wheel_sources
from studies.real_example import Region, decode, write_views

REAL = "real"
#: How the file of a run names it.
FURTHER_TESTS = {REAL: f"{REAL}.tsv"}


def write_real_slice(folder: Path, size: int = 96) -> int:
    """Write it beside the TSVs of a study folder; the same on every call.

    Args:
        folder: The study's.
        size: Height and width of a view in pixels.

    Returns: How many sources, each of one patient, the views come from.
    """
    images, _ = decode(wheel_sources())
    regions = [Region(source, 0, 1) for source in wheel_sources() if source.name in images]
    (folder / REAL).mkdir(parents=True, exist_ok=True)
    write_rows(folder / FURTHER_TESTS[REAL], write_views(folder, REAL, regions, images, size, seed=0))
    return len({region.source.patient for region in regions})
