"""Makes an encoder's image tower in whole numbers: `python -m services.embedding.quantise FOLDER --images SAMPLE`.

It writes two files beside the weights; the service uses them from its next start on. Where the vectors do not stay near those of
the weights, nothing is written.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from services.embedding.adapters.child import Limits
from services.embedding.adapters.encoder_folders import read_encoder_folder
from services.embedding.adapters.make_int8 import make_int8
from services.embedding.adapters.readers import ImageReaders
from services.embedding.adapters.sources import FileSource
from services.embedding.domain.images import StoredForm
from services.embedding.ports import Pixels
from shared.errors import InvalidArgument, MedqError

MOST_IMAGES = 256


def sample(folder: Path) -> list[Pixels]:
    """The first images of a folder as an ingest reads them; what it would not let in is passed over.

    Raises:
        NotFound, InvalidArgument, FailedPrecondition: There is no such folder, or it holds nothing.
    """
    readers = ImageReaders(1, Limits())
    found: list[Pixels] = []
    try:
        with FileSource.open(folder.resolve()) as listing:
            for entry in listing:
                if len(found) >= MOST_IMAGES:
                    break
                try:
                    forms = readers.read(listing.read(entry), b"a key for identifiers that are not kept")
                except InvalidArgument:
                    continue
                found += [readers.load(form.png) for form in forms if isinstance(form, StoredForm)]
    finally:
        readers.close()
    return found[:MOST_IMAGES]


def main() -> None:
    """Make the tower that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="the encoder's folder")
    parser.add_argument(
        "--images", type=Path, required=True, help=f"a folder of images; {MOST_IMAGES} of them are used"
    )
    arguments = parser.parse_args()
    try:
        facts = make_int8(read_encoder_folder(arguments.folder), sample(arguments.images))
    except MedqError as error:
        sys.exit(f"{error.message} {error.remedy}")
    sys.stdout.write(json.dumps(facts, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
