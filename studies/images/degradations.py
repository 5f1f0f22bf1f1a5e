"""The degradations of each modality: a name, a function of its physics, and two severities.

`DEGRADATIONS[modality][name]` is a pure function (image, strength, rng) -> image; `none` is the clean image.
They work on phantoms and on real images alike: float64 in 0..1, grey (h, w) or RGB (h, w, 3), any size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from shared.errors import InvalidArgument
from studies.images import ct_physics, mri_physics, optics
from studies.images.drawing import Image
from studies.images.strengths import strengths

Degradation = Callable[[Image, float, np.random.Generator], Image]

NONE = "none"
"""The name of what a clean image shows, and its severity."""

SEVERITIES = ("mild", "severe")

SMALLEST_SIDE = 32
"""Pixels; the physics has nothing to act on below."""

GREY_MODALITIES = frozenset({"mri", "ct"})
"""Modalities whose physics needs one channel."""


def keep_clean(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """No degradation: the image as it is."""
    del strength, rng
    return image


DEGRADATIONS: Mapping[str, Mapping[str, Degradation]] = MappingProxyType(
    {
        "mri": MappingProxyType(
            {
                NONE: keep_clean,
                "motion": mri_physics.add_motion_ghosts,
                "aliasing": mri_physics.add_aliasing,
                "inhomogeneity": mri_physics.add_inhomogeneity,
                "noise": mri_physics.add_rician_noise,
                "susceptibility": mri_physics.add_susceptibility,
                "spikes": mri_physics.add_spikes,
            }
        ),
        "ct": MappingProxyType(
            {
                NONE: keep_clean,
                "noise": ct_physics.add_low_dose_noise,
                "streaks": ct_physics.add_sparse_view_streaks,
                "metal": ct_physics.add_metal,
                "rings": ct_physics.add_rings,
                "cupping": ct_physics.add_cupping,
            }
        ),
        "endoscopy": MappingProxyType(
            {
                NONE: keep_clean,
                "motion": optics.blur_motion,
                "illumination": optics.darken_unevenly,
                "contrast": optics.lower_contrast,
                "reflections": optics.add_specular_reflections,
                "bubbles": optics.add_bubbles,
            }
        ),
        "fundus": MappingProxyType(
            {
                NONE: keep_clean,
                "defocus": optics.blur_defocus,
                "illumination": optics.darken_unevenly,
                "contrast": optics.lower_contrast,
                "colour": optics.cast_colour,
                "compression": optics.compress_jpeg,
            }
        ),
        "histopathology": MappingProxyType(
            {
                NONE: keep_clean,
                "defocus": optics.blur_defocus,
                "colour": optics.cast_colour,
                "compression": optics.compress_jpeg,
                "bubbles": optics.add_bubbles,
                "spots": optics.add_dark_spots,
            }
        ),
    }
)
"""Modality to degradation name to function; the first of each is `none`."""


def degrade(image: Image, modality: str, name: str, severity: str, rng: np.random.Generator) -> Image:
    """Degrade one image, real or drawn.

    Args:
        image: float64 in 0..1, (h, w) or (h, w, 3); not modified. MRI and CT take grey images only.
        modality: A key of `DEGRADATIONS`.
        name: A degradation of that modality, or `none`.
        severity: `mild` or `severe`; for `none` it is `none`.
        rng: What is random in the degradation (place, phase, noise).

    Returns:
        float64 in 0..1 of the same shape.

    Raises:
        InvalidArgument: an unknown name, a wrong shape, or values outside 0..1 or not finite.
    """
    known = DEGRADATIONS.get(modality)
    if known is None:
        raise InvalidArgument(
            "Unknown modality.", field="modality", value=modality, remedy=f"Use one of {', '.join(DEGRADATIONS)}"
        )
    if name not in known:
        remedy = f"use one of {', '.join(known)}"
        raise InvalidArgument(f"{modality} has no such degradation", field="name", value=name, remedy=remedy)
    if severity not in ((NONE,) if name == NONE else SEVERITIES):
        remedy = "mild or severe; for the clean image, none"
        raise InvalidArgument("No such severity.", field="severity", value=severity, remedy=remedy)
    _check_image(image, modality)
    return known[name](image, 0.0 if name == NONE else strengths()[modality][name][severity], rng)


def _check_image(image: Image, modality: str) -> None:
    """Refuse an image that the physics would silently get wrong."""
    shape = image.shape
    if not (image.ndim == 2 or (image.ndim == 3 and shape[2] == 3)):
        remedy = "use (h, w) or (h, w, 3)"
        raise InvalidArgument("Not a grey or RGB image.", field="shape", value=shape, remedy=remedy)
    if modality in GREY_MODALITIES and image.ndim != 2:
        remedy = "convert it to grey"
        raise InvalidArgument(f"{modality} images are grey", field="shape", value=shape, remedy=remedy)
    if min(shape[:2]) < SMALLEST_SIDE:
        remedy = f"use {SMALLEST_SIDE} pixels a side or more"
        raise InvalidArgument("Too small to degrade.", field="shape", value=shape, remedy=remedy)
    if not (np.isfinite(image).all() and image.min() >= 0.0 and image.max() <= 1.0):
        raise InvalidArgument("Values outside 0..1.", field="image", remedy="Scale the image to 0..1 first")
