"""From the bytes of a file to all that is kept of its images. Which decoder reads it is told by its first bytes, not its name.

Everything here runs in the child processes of `adapters.readers`; it is a function of the bytes and the key alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.embedding.adapters import dicom, images, nifti
from services.embedding.domain.images import (
    SLICES,
    DecodedImage,
    Quarantined,
    StoredForm,
    check_size,
    index_of,
    reason_of_emptiness,
)
from shared.errors import InvalidArgument


def read_images(
    data: bytes, key: bytes, n_slices: int = SLICES, *, part: str = "", is_depth_kept: bool = True
) -> list[StoredForm | Quarantined]:
    """Read the images of a file of any known kind into their stored form.

    Args:
        data: The file.
        key: The site's key for hashes of identifiers.
        n_slices: How many slices are taken of a volume.
        part: The image that is meant of a file that holds several, as `#frame-0007`; "" for all that are taken.
        is_depth_kept: Whether the grey levels of more than 8 bits are kept too.

    Returns: The stored forms, or why an image is not let in: its pixels may name a patient, or they show nothing; one or
        more, `MOST_IMAGES_A_FILE` at most.

    Raises:
        InvalidArgument: Empty, of no known kind, damaged, of a size that is not taken in, or without the part.
        MemoryError: It needs more than this process may have.
    """
    return [_stored(image, is_depth_kept) for image in decode_images(data, key, n_slices, part)]


def _stored(decoded: DecodedImage | Quarantined, is_depth_kept: bool) -> StoredForm | Quarantined:
    if isinstance(decoded, Quarantined):
        return decoded
    pixels = decoded.pixels
    check_size(pixels)
    if reason := reason_of_emptiness(pixels):
        remedy = "Leave it out, or export it with a window in which something is seen."
        return Quarantined(reason, remedy, decoded.part)
    height, width = pixels.shape[:2]
    return StoredForm(
        png=images.encode_png(pixels),
        width=width,
        height=height,
        phash=images.perceptual_hash(pixels),
        structure=images.structure_hash(pixels),
        window=decoded.window,
        modality=decoded.modality,
        patient=decoded.patient,
        session=decoded.session,
        part=decoded.part,
        note=decoded.note,
        origin=decoded.origin,
        depth=images.encode_depth(decoded.depth, decoded.window) if decoded.depth and is_depth_kept else None,
    )


def decode_images(
    data: bytes, key: bytes, n_slices: int = SLICES, part: str = ""
) -> Sequence[DecodedImage | Quarantined]:
    """The pixels of the images of a file, and what else is known of them; raises as `read_images`."""
    if not data:
        raise InvalidArgument("The file is empty.", remedy="Copy or export it again.")
    # DICOM first: its preamble may look like a TIFF.
    if data[dicom.MAGIC_OFFSET : dicom.MAGIC_OFFSET + len(dicom.MAGIC)] == dicom.MAGIC:
        decoded = dicom.decode_dicom(data, key, part)
        return [decoded] if isinstance(decoded, Quarantined) else decoded
    if data.startswith(images.MAGIC):
        if part:
            index_of(part, "page", 0)  # none is known of these
        return [images.decode_raster(data)]
    if nifti.magic_of(data):
        return nifti.decode_nifti(data, n_slices, part)
    raise InvalidArgument(
        "The content is not an image that is read here.", remedy="Use PNG, JPEG, TIFF, DICOM or NIfTI."
    )
