"""Which of the eligible images lie beyond what the model knows: the farthest, or those that cover the rest (greedy k-centre)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

import numpy as np

from medq.retrieval.v1 import retrieval_pb2 as pb
from services.retrieval.domain.k_centre import k_centre
from services.retrieval.domain.novelty import novelty
from services.retrieval.domain.sampling import Strategy
from services.retrieval.ports import Vectors
from services.retrieval.work.finding import Finds, Measure, found_by_score
from services.retrieval.work.image_sets import iterate_records, map_vectors
from shared.errors import FailedPrecondition, InvalidArgument
from shared.objects.store import ObjectStore


def find_beyond(
    objects: ObjectStore,
    request: pb.StartSelectSamplesRequest,
    strategy: Strategy,
    eligible: Collection[str],
    used: Collection[str],
    on_taken: Callable[[int], None],
) -> Finds:
    """The eligible images with their distance from what the model knows; of `k_centre` only those that it takes.

    Args:
        objects, request: Where the image sets lie, and which they are.
        strategy: `novelty` or `k_centre`.
        eligible: The images that may be found.
        used: Images of the pool that the arm selected before; the model knows them as it does the reference images.
        on_taken: Told how many centres have been taken; what it raises ends the work.

    Raises:
        FailedPrecondition: There are fewer reference images than are compared with.
        NotFound, InvalidArgument, DataLoss: An image set is not there, or of another kind or dimension, or damaged.
    """
    measure = Measure.NOVELTY if strategy is Strategy.NOVELTY else Measure.DISTANCE
    known = {record.image_id for record in iterate_records(objects, request.reference_uris)}.union(used)
    needed = request.neighbours if strategy is Strategy.NOVELTY else 1
    if len(known) < needed:
        raise FailedPrecondition(
            f"{strategy.value} compares with {needed} reference images; there are {len(known)}.",
            field="reference_uris",
            value=len(known),
            remedy="Name image sets with more images that the model was trained on, or lower neighbours.",
        )
    if not eligible:
        return found_by_score([], np.zeros(0), measure)
    with tempfile.TemporaryDirectory() as folder:
        pool = Path(folder) / "pool.npy"
        reference_uris = dict.fromkeys([*request.reference_uris, *request.pool_uris])
        _, references = gather(map_vectors(objects, [*reference_uris]), known, pool.with_name("references.npy"))
        ids, images = gather(map_vectors(objects, request.pool_uris), eligible, pool)
        if strategy is Strategy.NOVELTY:
            return found_by_score(ids, novelty(images, references, request.neighbours), measure)
        rows, distances = k_centre(images, references, request.budget, on_taken)
        order = np.argsort(rows)
        return found_by_score([ids[row] for row in rows[order]], distances[order], measure)


def gather(
    sets: Iterable[tuple[Sequence[str], Vectors]], wanted: Collection[str], path: Path
) -> tuple[list[str], Vectors]:
    """The vectors of some images of several sets in one array, which lies in a file.

    Args:
        sets: Image ids and their vectors, as `map_vectors` gives them; of an image that comes twice the last vector counts.
        wanted: Ids of images that the sets have.
        path: Where the file is made.

    Returns: The ids, sorted, and (n, d) float32 in their order, a memory map; (0, 1) where none is wanted.
    Raises: InvalidArgument: vectors of different dimensions.
    """
    ids = sorted(wanted)
    place = {image_id: row for row, image_id in enumerate(ids)}
    gathered: Vectors = np.zeros((0, 1), dtype=np.float32)
    for names, vectors in sets:
        rows = [row for row, name in enumerate(names) if name in place]
        if not rows:
            continue
        if not len(gathered):
            gathered = np.lib.format.open_memmap(path, "w+", dtype="<f4", shape=(len(ids), vectors.shape[1]))
        if vectors.shape[1] != gathered.shape[1]:
            raise InvalidArgument(
                "The image sets have vectors of different dimensions.",
                field="pool_uris",
                value=f"{gathered.shape[1]} and {vectors.shape[1]}",
                remedy="Use vectors of one encoder: ingest all sets by the one that runs now.",
            )
        for row in rows:
            gathered[place[names[row]]] = vectors[row]
    return ids, gathered
