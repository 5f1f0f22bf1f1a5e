"""What reads each kind of file in the product, and what it may say of a broken one.

A reader gives what became of a file in a word. It raises `Wrong` where the outcome is none that a user may meet; every other
exception that is no typed error is a finding as well.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cli.commands import score
from medq.evaluation.v1 import evaluation_pb2 as pb
from services.controller.configuration.check import check
from services.embedding.adapters.formats import read_images
from services.embedding.adapters.images import read_png
from services.embedding.adapters.sources import list_source
from services.embedding.domain.images import Quarantined, StoredForm
from services.evaluation.adapters.benchmark_table import read_table
from services.evaluation.domain.image_join import join_images
from services.evaluation.service import Evaluation
from shared.checkpoints import require_checkpoint
from shared.errors import FailedPrecondition, InvalidArgument, MedqError, NotFound, PermissionDenied
from tests.fuzz.limits import MARKER
from tests.support.run_files import write_run_files

_KEY = b"a key for hashes"
# Written out, so that the judge notices where the product's own bounds slip.
_MOST_PIXELS = 64_000_000
_SHORTEST_SIDE = 16
_MOST_IMAGES = 32
#: What a broken file may end with.
TYPED = (InvalidArgument, NotFound, FailedPrecondition, PermissionDenied)


class Wrong(Exception):
    """An outcome that no file may have."""


def read_picture(data: bytes, folder: Path) -> str:
    """Read as a child of an ingest does; what is let in has a size, is not blank, and is stored as its pixels alone."""
    forms = read_images(data, _KEY)
    if not 1 <= len(forms) <= _MOST_IMAGES:
        raise Wrong(f"{len(forms)} images of one file")
    return min(_look_at(form) for form in forms)


def _look_at(form: StoredForm | Quarantined) -> str:
    if isinstance(form, Quarantined):
        require_silence(f"{form.reason} {form.remedy}")
        return "quarantined"
    pixels = read_png(form.png)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise Wrong(f"pixels of {pixels.dtype} {pixels.shape} were let in")
    if pixels.shape[:2] != (form.height, form.width):
        raise Wrong("the stored image is of another size than its row")
    if min(pixels.shape[:2]) < _SHORTEST_SIDE or pixels.shape[0] * pixels.shape[1] > _MOST_PIXELS:
        raise Wrong(f"an image of {pixels.shape} was let in")
    if (pixels == pixels[0, 0]).all():
        raise Wrong("a blank image was let in")
    require_silence(f"{form.modality} {form.patient} {form.session} {form.window} {form.part} {form.note}")
    if MARKER.encode() in form.png:
        raise Wrong("the stored image holds what was text in the file")
    return "accepted"


def read_manifest(data: bytes, folder: Path, suffix: str = "") -> str:
    """List a manifest and read each of its entries."""
    path = folder / f"manifest{suffix or ('.tsv' if data[:200].count(9) > data[:200].count(44) else '.csv')}"
    path.write_bytes(data)
    with list_source(path) as listing:
        for entry in listing:
            try:
                listing.read(entry)
            except InvalidArgument as error:
                require_remedy(error)
    return "accepted"


def read_benchmark(data: bytes, folder: Path) -> str:
    """Read a benchmark table and join it with no image."""
    path = folder / ("table.tsv" if b"\t" in data else "table.csv")
    path.write_bytes(data)
    join_images(read_table(path), [], [], "dev")
    return "accepted"


def read_replies(data: bytes, folder: Path) -> str:
    """Score stored replies as `medq score` does, with the service's own method behind it."""
    path = folder / "replies.tsv"
    path.write_bytes(data)
    _, rows = score._read(path)
    scored = score._scored(_Scorer(), rows)  # type: ignore[arg-type]
    score.summarised(scored)
    return "accepted"


def read_yaml(data: bytes, folder: Path) -> str:
    """Check the file of a run whose files are all there; each problem is told with a remedy."""
    write_run_files(folder)
    configuration, problems = check(data.decode("utf-8", "replace"), str(folder))
    for problem in problems:
        if not problem.message or not problem.remedy:
            raise Wrong(f"a problem without {'remedy' if problem.message else 'message'}: {problem.field[:80]!r}")
    if (configuration is None) == (not problems):
        raise Wrong("neither a configuration nor a problem, or both")
    return "refused" if problems else "accepted"


def read_checkpoint(data: bytes, folder: Path) -> str:
    """Look at a checkpoint folder as the import of a model does."""
    for name, content in json.loads(data).items():
        (folder / name).write_bytes(base64.b64decode(content))
    for number in (1, 2):
        (folder / f"model-{number}.safetensors").write_bytes(b"")
    require_checkpoint(folder)
    return "accepted"


def require_remedy(error: MedqError) -> None:
    """A typed error has a message and says what to do, and quotes nothing of the file."""
    if not error.message or not error.remedy:
        raise Wrong(f"an error without {'remedy' if error.message else 'message'}: {error.message!r}")
    require_silence(str(error))


def require_silence(text: str) -> None:
    """What stands in a file stands in no text about it."""
    if MARKER in text:
        raise Wrong(f"the file is quoted: {text[:200]!r}")


class _Scorer:
    """The service's own method, without a wire; it scores without operations."""

    def ScoreReplies(self, request: pb.ScoreRepliesRequest) -> pb.ScoreRepliesResponse:
        return Evaluation(None, ()).ScoreReplies(request, _Caller())  # type: ignore[arg-type]


class _Caller:
    def is_active(self) -> bool:
        return True


READERS: dict[str, Callable[[bytes, Path], str]] = {
    **dict.fromkeys(("png", "jpeg", "tiff", "dicom", "nifti"), read_picture),
    "manifest": read_manifest,
    "parquet": lambda data, folder: read_manifest(data, folder, ".parquet"),
    "benchmark": read_benchmark,
    "replies": read_replies,
    "yaml": read_yaml,
    "checkpoint": read_checkpoint,
}
