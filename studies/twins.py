"""How many degraded twins the leakage gate finds, and how many images it takes for one that are none.

    python -m studies.twins [--sources 40] [--others 200]

A twin shows the same source as a guarded image, degraded apart, and no id says so. The guarded set holds one image of each
source: once the clean one, once one that is degraded in a way drawn at random. The twins are all degradations of these sources in
both severities, but for the guarded image itself. False alarms are the share of images of other sources that touch the guarded
set. The images are phantoms. Two tables in Markdown go to standard output; a cell of a modality says mild / severe.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.embedding.adapters.images import perceptual_hash, structure_hash
from services.embedding.adapters.statistics_encoder import StatisticsEncoder
from services.retrieval.domain.leakage import Guards, ImageRecord
from services.retrieval.domain.twins import Twins
from studies.images.degradations import DEGRADATIONS, NONE, SEVERITIES, degrade
from studies.images.optics import to_bytes
from studies.images.phantoms import make_phantom

_FIRST_SOURCE, _FIRST_OTHER = 27_000_000, 28_000_000  # of no study, and not those by which the hash was chosen
_CLEAN_RATIO = 0.25  # of the others, as in a study's pool


@dataclass(frozen=True, eq=False)
class Picture:
    """A phantom, degraded, as the gate and the encoder see it."""

    modality: str
    source: int
    degradation: str
    severity: str
    record: ImageRecord
    vector: NDArray[np.float32]


Hits = Callable[[Sequence[Picture], Sequence[Picture]], set[str]]
"""(asked, guarded) -> ids of those that touch a guarded one."""


def draw(modality: str, source: int, name: str, severity: str, encoder: StatisticsEncoder) -> Picture:
    """One picture; the same arguments give the same pixels."""
    rng = np.random.default_rng([source, *f"{name} {severity}".encode()])
    pixels = to_bytes(degrade(make_phantom(modality, source), modality, name, severity, rng))
    image_id = f"{modality}/{source}/{name}/{severity}"
    record = ImageRecord(image_id, perceptual_hash(pixels), "", "", structure=structure_hash(pixels))
    vector = encoder.embed_images([pixels.reshape(*pixels.shape[:2], -1)])[0]
    return Picture(modality, source, name, severity, record, vector)


def gate(phash_distance: int, twin_similarity: float) -> Hits:
    """The product's own gate."""

    def hits(asked: Sequence[Picture], guarded: Sequence[Picture]) -> set[str]:
        records, guards = ([picture.record for picture in pictures] for pictures in (asked, guarded))
        leaks = Guards(guards, phash_distance=phash_distance, twin_similarity=twin_similarity).leaks(records)
        return {leak.image_id for leak in leaks}

    return hits


def structure(similarity: float) -> Hits:
    """Structure hashes alone."""

    def hits(asked: Sequence[Picture], guarded: Sequence[Picture]) -> set[str]:
        hashes, guards = ([picture.record.structure for picture in pictures] for pictures in (asked, guarded))
        is_near = Twins(guards, similarity).nearest(hashes) >= 0
        return {picture.record.image_id for picture, near in zip(asked, is_near, strict=True) if near}

    return hits


def cosine(threshold: float) -> Hits:
    """Vectors of the statistics encoder at or above a cosine."""

    def hits(asked: Sequence[Picture], guarded: Sequence[Picture]) -> set[str]:
        products = np.stack([p.vector for p in asked]) @ np.stack([p.vector for p in guarded]).T
        is_near = products.max(axis=1) >= threshold
        return {picture.record.image_id for picture, near in zip(asked, is_near, strict=True) if near}

    return hits


METHODS: dict[str, Hits] = {
    "perceptual hash, 2 bits": gate(2, 0.0),
    "perceptual hash, 4 bits": gate(4, 0.0),
    **{f"statistics encoder, cosine {t}": cosine(t) for t in (0.9, 0.95, 0.98)},
    **{f"structure hash, {t}": structure(t) for t in (0.5, 0.55, 0.6, 0.65)},
    "both, 2 bits or 0.6 (the default)": gate(2, 0.6),
}


def table(twins: Sequence[Picture], guarded: Sequence[Picture], others: Sequence[Picture]) -> str:
    """A row for each method: false alarms, recall over all, recall by modality (mild / severe)."""
    lines = [f"| method | false alarms | found | {' | '.join(DEGRADATIONS)} |", "|---" * (3 + len(DEGRADATIONS)) + "|"]
    own = {picture.record.image_id for picture in guarded}
    asked = [picture for picture in twins if picture.record.image_id not in own]
    for name, hits in METHODS.items():
        found, alarms = hits(asked, guarded), hits(others, guarded)
        cells = [
            " / ".join(_share(found, asked, modality, severity) for severity in SEVERITIES) for modality in DEGRADATIONS
        ]
        alarmed = f"{len(alarms) / len(others):.1%}"
        lines.append(f"| {name} | {alarmed} | {len(found) / len(asked):.2f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _share(found: set[str], asked: Sequence[Picture], modality: str, severity: str) -> str:
    cell = [p.record.image_id in found for p in asked if (p.modality, p.severity) == (modality, severity)]
    return f"{np.mean(cell):.2f}"


def main(argv: Sequence[str] | None = None) -> None:
    """Draw, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=40, help="guarded sources of each modality")
    parser.add_argument("--others", type=int, default=200, help="images of other sources of each modality")
    arguments = parser.parse_args(argv)
    encoder, rng = StatisticsEncoder(), np.random.default_rng(0)
    clean, degraded, twins, others = [], [], [], []
    for modality, known in DEGRADATIONS.items():
        cells = [(name, severity) for name in known if name != NONE for severity in SEVERITIES]
        for source in range(_FIRST_SOURCE, _FIRST_SOURCE + arguments.sources):
            clean.append(draw(modality, source, NONE, NONE, encoder))
            versions = [draw(modality, source, *cell, encoder) for cell in cells]
            degraded.append(versions[rng.integers(len(versions))])
            twins += versions
        for source in range(_FIRST_OTHER, _FIRST_OTHER + arguments.others):
            cell = (NONE, NONE) if rng.random() < _CLEAN_RATIO else cells[rng.integers(len(cells))]
            others.append(draw(modality, source, *cell, encoder))
    for title, guarded in (("The guarded image is clean", clean), ("The guarded image is degraded too", degraded)):
        sys.stdout.write(f"{title}: {len(guarded)} guarded, {len(twins)} twins, {len(others)} others.\n\n")
        sys.stdout.write(f"{table(twins, guarded, others)}\n\n")


if __name__ == "__main__":
    main()
