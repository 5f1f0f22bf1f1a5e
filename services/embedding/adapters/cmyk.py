"""Printing colours (cyan, magenta, yellow, black) to RGB: by the ICC profile of the file where it has one, else plainly.

A JPEG of four colours is taken as Adobe writes it, with full ink as 0, as Pillow and browsers do; a TIFF has full ink as 255.
"""

from __future__ import annotations

import io

from PIL import Image, ImageCms

#: Largest profile that is used; those of print shops have some MB. It is data of the file, so nothing else bounds it.
MOST_PROFILE_BYTES = 16 * 1024 * 1024
_NOT_USED = "its colours were converted without its profile, which cannot be used"


def rgb_of_cmyk(image: Image.Image) -> tuple[Image.Image, str]:
    """Convert an image of mode CMYK.

    Args:
        image: With its profile, if any, as `icc_profile` in its `info`.

    Returns: The image in sRGB, and a remark: that it has a profile which was not used; "" where there is nothing to say.
        With a profile, by its own intent. Without one, R = 255 (1 - C) (1 - K) of inks of 0..1, G and B alike.
    """
    profile = image.info.get("icc_profile")
    if not profile:
        return image.convert("RGB"), ""
    if not isinstance(profile, bytes) or len(profile) > MOST_PROFILE_BYTES:
        return image.convert("RGB"), _NOT_USED
    try:
        inks = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        intent = ImageCms.Intent(ImageCms.getDefaultIntent(inks))
        shown = ImageCms.profileToProfile(image, inks, ImageCms.createProfile("sRGB"), intent, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):  # damaged, or of other colours
        shown = None
    return (image.convert("RGB"), _NOT_USED) if shown is None else (shown, "")
