"""From the bytes of a file to all that is kept of its image. Which decoder reads it is told by its first bytes, not its name.

Everything here runs in the child processes of `adapters.readers`; it is a function of the bytes and the key alone.
"""

from __future__ import annotations

from services.embedding.adapters import dicom, images
from services.embedding.domain.images import DecodedImage, Quarantined, StoredForm, check_size, reason_of_emptiness
from shared.errors import InvalidArgument


def read_image(data: bytes, key: bytes) -> StoredForm | Quarantined:
    """Read an image of any known kind into its stored form.

    Args:
        data: The file.
        key: The site's key for hashes of identifiers.

    Returns: The stored form, or why the image is not let in: its pixels may name a patient, or they show nothing.

    Raises:
        InvalidArgument: Empty, of no known kind, damaged, or of a size that is not taken in.
        MemoryError: It needs more than this process may have.
    """
    decoded = decode_image(data, key)
    if isinstance(decoded, Quarantined):
        return decoded
    pixels = decoded.pixels
    check_size(pixels)
    if reason := reason_of_emptiness(pixels):
        return Quarantined(reason, "Leave it out, or export it with a window in which something is seen.")
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
    )


def decode_image(data: bytes, key: bytes) -> DecodedImage | Quarantined:
    """The pixels of an image of any known kind, and what else is known of it; raises as `read_image`."""
    if not data:
        raise InvalidArgument("The file is empty.", remedy="Copy or export it again.")
    # DICOM first: its preamble may look like a TIFF.
    if data[dicom.MAGIC_OFFSET : dicom.MAGIC_OFFSET + len(dicom.MAGIC)] == dicom.MAGIC:
        return dicom.decode_dicom(data, key)
    if data.startswith(images.MAGIC):
        return images.decode_raster(data)
    raise InvalidArgument(
        "The content is not an image that is read here.", remedy="Use PNG, JPEG, TIFF or single-frame DICOM."
    )
