"""Lays a model out for a server beside this service: `python -m services.evaluation.adapters.fetch_model URI FOLDER`.

The object store is that of the evaluation service's settings (`MEDQ_EVALUATION_S3__...`). `FOLDER/current` leads to the model.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from uuid import uuid4

from services.evaluation.settings import EvaluationSettings
from shared.errors import MedqError
from shared.objects.dataset import materialize, read_manifest
from shared.objects.store import ObjectStore
from shared.resources import open_objects


def fetch_model(objects: ObjectStore, model_uri: str, folder: Path) -> Path:
    """Fetch a model, verified, and let `current` lead to it; one that is there already is not fetched again.

    Args:
        objects: Where it lies.
        model_uri: A dataset of kind `model`.
        folder: Where to.

    Returns: The model's own folder.

    Raises:
        NotFound, InvalidArgument, DataLoss: it is not there, no model, or damaged.
    """
    read_manifest(objects, model_uri, "model")
    model = materialize(objects, model_uri, folder)
    link = folder / f".{uuid4().hex}"
    link.symlink_to(model.name)
    os.replace(link, folder / "current")
    return model


def main() -> None:
    """Fetch; an error is written to standard error, and the exit code is 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("uri", help="sha256:<hex> of a model")
    parser.add_argument("folder", type=Path, help="where to")
    arguments = parser.parse_args()
    try:
        fetch_model(open_objects(EvaluationSettings()), arguments.uri, arguments.folder)
    except MedqError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
