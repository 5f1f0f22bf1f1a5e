"""Which decoder reads a file: told by its first bytes, never by its name."""

from __future__ import annotations

from services.embedding.adapters import dicom, images
from services.embedding.domain.images import DecodedImage, Quarantined
from shared.errors import InvalidArgument


def decode_image(data: bytes, key: bytes) -> DecodedImage | Quarantined:
    """Read an image of any known kind.

    Args:
        data: The file.
        key: The site's key for hashes of identifiers.

    Raises:
        InvalidArgument: empty, of no known kind, or damaged.
    """
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


class FileFormats:
    """The `ImageFormats` of this product: PNG, JPEG, TIFF and DICOM in, PNG stored."""

    decode = staticmethod(decode_image)
    encode = staticmethod(images.encode_png)
    load = staticmethod(images.read_png)
    perceptual_hash = staticmethod(images.perceptual_hash)
    structure_hash = staticmethod(images.structure_hash)
