"""How much worse a degraded image is than the clean one, measured: the scale on which severities are set."""

from __future__ import annotations

import numpy as np
from skimage.metrics import structural_similarity
from skimage.transform import downscale_local_mean

from studies.images.drawing import Image

SCALES = (1, 2, 4)
"""Pixels a side that become one: fine grain weighs most at the first, shading and colour at the last."""

DARKEST_CONTENT = 0.05
"""Mean of the channels above which a pixel of the clean image shows something; air and the frame around a retina do not."""


def quality_loss(clean: Image, degraded: Image) -> float:
    """One minus the structural similarity, averaged over three scales and over what the clean image shows.

    Args:
        clean: float64 in 0..1, (h, w) or (h, w, 3), at least 44 pixels a side.
        degraded: The same shape.

    Returns: 0 for equal images; up to 1, rarely above.

    Source: SSIM with Gaussian weights of 1.5 pixels, Wang et al. 2004, doi 10.1109/TIP.2003.819861. The plain mean over
    scales is ours: it is in the spirit of Wang et al. 2003, but keeps the luminance at every scale, since a cast or a
    shading is a loss.
    """
    return float(np.mean([_loss_at(clean, degraded, scale) for scale in SCALES]))


def _loss_at(clean: Image, degraded: Image, scale: int) -> float:
    factors = (scale, scale, *[1] * (clean.ndim - 2))
    first, second = downscale_local_mean(clean, factors), downscale_local_mean(degraded, factors)  # type: ignore[no-untyped-call]
    _, similarity = structural_similarity(  # type: ignore[no-untyped-call]
        first,
        second,
        data_range=1.0,
        channel_axis=2 if clean.ndim == 3 else None,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    is_content = first.reshape(*first.shape[:2], -1).mean(axis=2) > DARKEST_CONTENT
    return 1.0 - float(similarity[is_content].mean() if is_content.any() else similarity.mean())
