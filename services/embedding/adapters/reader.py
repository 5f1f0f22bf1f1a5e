"""The program that reads images for the embedding service: `python -m services.embedding.adapters.reader`, a `Child`.

It gets what to heed and a file, answers with what is kept of its images, and so on until the other end closes. A file that
breaks a decoder breaks this process and no other. It knows no settings, no database and no network.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from services.embedding.adapters.child import serve
from services.embedding.adapters.dicom import quiet_pydicom
from services.embedding.adapters.formats import read_images
from services.embedding.adapters.images import limit_pillow
from services.embedding.domain.images import Quarantined, StoredForm
from shared.errors import InvalidArgument


class Refused(msgspec.Struct):
    """Why a file is no image that can be taken in."""

    message: str
    remedy: str


class Heeded(msgspec.Struct):
    """What the reading of a file depends on beside the file.

    Attributes:
        key: The site's, for hashes of identifiers.
        n_slices: How many slices are taken of a volume.
        part: Which image of the file is meant; "" for all that are taken.
        is_depth_kept: Whether the grey levels of more than 8 bits are kept too.
    """

    key: bytes
    n_slices: int
    part: str = ""
    is_depth_kept: bool = True


class Read(msgspec.Struct):
    """One image of a file: one of the two is there."""

    stored: StoredForm | None = None
    quarantined: Quarantined | None = None


class Answer(msgspec.Struct):
    """What became of a file: its images, or why there are none."""

    images: list[Read] = []
    refused: Refused | None = None


def answer(data: bytes, heeded: bytes, memory_mib: int) -> bytes:
    """Read one file; whatever is wrong with it is told, in MessagePack, as an `Answer`."""
    try:
        how = msgspec.msgpack.decode(heeded, type=Heeded)
        told = Answer(
            [
                Read(quarantined=image) if isinstance(image, Quarantined) else Read(stored=image)
                for image in read_images(data, how.key, how.n_slices, part=how.part, is_depth_kept=how.is_depth_kept)
            ]
        )
    except MemoryError:
        remedy = "Reduce the image; MEDQ_EMBEDDING_READER_MEMORY_MIB is the limit."
        told = Answer(refused=Refused(f"Reading the image needs more than {memory_mib} MiB.", remedy))
    except InvalidArgument as error:
        told = Answer(refused=Refused(error.message, error.remedy))
    return msgspec.msgpack.encode(told)


def main(answer: Callable[[bytes, bytes, int], bytes] = answer) -> None:
    """Read images for the parent until it closes its end."""
    quiet_pydicom()
    limit_pillow()
    serve(answer)


if __name__ == "__main__":
    main()
