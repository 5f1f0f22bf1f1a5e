"""Small valid NIfTI volumes, and changes that know where the header keeps its sizes, its types and its axes."""

from __future__ import annotations

import gzip
import struct
from functools import cache

import nibabel
import numpy as np

from tests.fuzz.limits import MARKER
from tests.fuzz.mutations import Rng, below, mutated
from tests.support.pictures import picture

#: Offset, form and values of fields of the header of NIfTI-1.
_FIELDS = (
    (0, "<i", (348, 540, 0, -1)),
    (40, "<h", (0, 1, 2, 3, 4, 5, 7, 8, -1)),
    *((at, "<h", (0, 1, 15, 16, 33, 4096, 32_767, -1)) for at in (42, 44, 46, 48, 50)),
    (70, "<h", (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1280, 1536, 1792, 2304, 999)),
    (108, "<f", (0.0, 352.0, 351.5, 1e30, -1e9, float("nan"), float("inf"))),
    *((at, "<f", (0.0, 1e-40, -2.0, 1e38, float("nan"), float("inf"))) for at in (76, 80, 112, 116, 256, 280, 296, 320)),
    (252, "<hh", ((0, 0), (1, 0), (0, 1), (9, -9))),
    (344, "<4s", (b"n+1\0", b"ni1\0", b"n+2\0", b"none")),
)  # fmt: skip


@cache
def nifti_seeds() -> tuple[bytes, ...]:
    """Whole numbers with a scale, floating point with gaps, colours, two volumes; plain and compressed."""
    grey = np.stack([picture(seed) for seed in range(4)], axis=-1)
    gaps = grey.astype(np.float32)
    gaps[0] = np.nan
    colours = np.zeros(grey.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    colours["R"], colours["G"] = grey, grey // 2
    volumes = (grey.astype(np.int16) * 9, gaps, colours, np.stack([grey, grey // 3], axis=-1))
    plain = []
    for values in volumes:
        image = nibabel.Nifti1Image(values, np.diag([-1.0, 1, 3, 1]))
        image.header["descrip"] = MARKER.encode()
        plain.append(image.to_bytes())
    return (*plain, gzip.compress(plain[0], mtime=0), nibabel.Nifti2Image(volumes[0], np.eye(4)).to_bytes())


def nifti_case(rng: Rng) -> bytes:
    """A volume with another header, damaged, or compressed and then damaged."""
    data = nifti_seeds()[below(rng, len(nifti_seeds()))]
    if rng.random() < 0.3:
        return mutated(data, rng, nifti_seeds())
    changed = bytearray(nifti_seeds()[below(rng, 4)])
    for _ in range(int(rng.integers(1, 4))):
        at, form, values = _FIELDS[below(rng, len(_FIELDS))]
        value = values[below(rng, len(values))]
        struct.pack_into(form, changed, at, *(value if isinstance(value, tuple) else (value,)))
    if rng.random() < 0.5:
        packed = gzip.compress(bytes(changed), mtime=0)
        return mutated(packed, rng) if rng.random() < 0.3 else packed
    return bytes(changed)
