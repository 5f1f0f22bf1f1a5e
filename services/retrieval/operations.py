"""The long work of retrieval: putting image sets into the index, and selecting what is to be annotated.

Restartable: an entry of the index is keyed by image and split, a selection by operation, run and arm; a draw is seeded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np
from prometheus_client import Histogram

from medq.retrieval.v1 import retrieval_pb2 as pb
from services.retrieval.domain.leakage import Guards
from services.retrieval.domain.sampling import Candidates, Strategy, draw_samples
from services.retrieval.store import SelectionStore
from services.retrieval.work.failures import NO_FAILURES, Failures, read_anchors, read_failures
from services.retrieval.work.finding import (
    Finds,
    find_all,
    find_by_contrast,
    find_share,
    found_by_prototypes,
    why_no_contrast,
)
from services.retrieval.work.image_sets import (
    count_images,
    encoder_of,
    find_images,
    iterate_batches,
    iterate_records,
    map_vectors,
)
from services.retrieval.work.indexes import Indexes
from services.retrieval.work.samples import samples_of
from shared.batches import in_batches
from shared.errors import FailedPrecondition
from shared.objects.dataset import publish
from shared.objects.store import ObjectStore
from shared.operation_context import OperationContext
from shared.rows.selection import Sample, Selection
from shared.rpc.choices import choices

POOL = "pool"
_GUARDED_AT_ONCE = 20_000  # images of the pool that are held against the guarded ones together
SEARCH_SECONDS = Histogram(
    "medq_retrieval_search_seconds",
    "Time of a search, interactive or exact.",
    ["kind"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 20),
)
STRATEGIES = {number: Strategy(name) for name, number in choices(pb.Strategy.DESCRIPTOR).items()}


class RetrievalOperations:
    """The long operations of the retrieval service.

    Args:
        indexes: The indexes.
        objects: Where datasets lie.
        store: What was selected before.
        batch_size: Images that are put into the index at once.
    """

    def __init__(self, indexes: Indexes, objects: ObjectStore, store: SelectionStore, batch_size: int) -> None:
        self._indexes = indexes
        self._objects = objects
        self._store = store
        self._batch_size = batch_size

    def index_images(self, context: OperationContext, request: pb.StartIndexImagesRequest) -> str:
        """Put the images of a set into the index; the result is the image set itself."""
        self._put(context, request.image_set_uri)
        return request.image_set_uri

    def select_samples(self, context: OperationContext, request: pb.StartSelectSamplesRequest) -> str:
        """Find images by the strategy, then the adaptive draw; the result is the selection's URI.

        Raises:
            FailedPrecondition: The pool holds no image, or its vectors, or those of the failures, are not of one encoder.
            NotFound, InvalidArgument: A dataset is not there, or of another kind; vectors of another dimension.
        """
        if request.strategy != pb.STRATEGY_RANDOM:
            encoder_of(self._objects, [*request.pool_uris, request.failures_uri])
        eligible, excluded = self._exclude(request)
        context.progress(0, 3, "steps", "searching the pool")
        strategy, fallback = STRATEGIES[request.strategy], ""
        failures = read_failures(self._objects, request.failures_uri) if request.failures_uri else NO_FAILURES
        if strategy is Strategy.RANDOM:
            finds = find_all(eligible)
        elif strategy is Strategy.FAILURE_CONTRAST:
            finds, fallback = self._search_by_contrast(context, request, failures, eligible)
        else:
            finds = self._search(context, request, failures, eligible)
        if strategy is not Strategy.RANDOM:
            excluded["no_contrast" if finds.is_contrast else "not_similar"] = len(eligible) - len(finds.ids)
        context.progress(1, 3, "steps", "drawing")
        draw = draw_samples(
            Candidates(finds.ids, finds.finder, finds.measure if finds.is_contrast else None),
            finds.profiles,
            failures.error_rates,
            strategy=Strategy.FAILURE_DRIVEN if fallback else strategy,
            alpha=request.alpha,
            budget=request.budget,
            rng=np.random.default_rng(request.seed),
        )
        drawn = [finds.ids[row] for row in draw.rows.tolist()]
        images = find_images(self._objects, request.pool_uris, POOL, set(drawn))
        samples = samples_of(request, draw, finds, images)
        context.progress(2, 3, "steps", "writing")
        self._store.record(request.operation_id, request.run_id, request.arm, request.round, drawn)
        selection = Selection(
            strategy=strategy.value,
            requested=request.budget,
            selected=len(samples),
            reason=draw.reason,
            excluded=excluded,
            tau_sim=finds.tau_sim,
            fallback=fallback,
            found=finds.counted(draw.rows),
        )
        return self._publish(request, samples, selection)

    def _put(self, context: OperationContext, uri: str) -> None:
        """Put the images of a set into the index; those that are there are skipped."""
        n_images, n_done, is_changed = count_images(self._objects, uri), 0, False
        encoder_id = encoder_of(self._objects, [uri])
        index = self._indexes.of(encoder_id)
        for images, vectors in iterate_batches(self._objects, uri, n_images, self._batch_size):
            context.progress(n_done, n_images, "images", "indexing")
            missing = {
                split: index.missing([i.image_id for i in images if i.split == split], split)
                for split in {image.split for image in images}
            }
            rows = [r for r, image in enumerate(images) if image.image_id in missing[image.split]]
            if rows:
                self._indexes.put(encoder_id, [images[r] for r in rows], vectors[rows])
                is_changed = True
            n_done += len(images)
        if is_changed:
            index.optimize()

    def _search(
        self,
        context: OperationContext,
        request: pb.StartSelectSamplesRequest,
        failures: Failures,
        eligible: Collection[str],
    ) -> Finds:
        """The eligible images in the neighbourhood of some prototype."""
        if request.tau_pool_share:
            sets = map_vectors(self._objects, request.pool_uris)
            return find_share(sets, eligible, failures, request.tau_pool_share)
        for uri in request.pool_uris:
            self._put(context, uri)
        index = self._indexes.of(encoder_of(self._objects, request.pool_uris))
        with SEARCH_SECONDS.labels("exact").time():
            found = index.find_near(failures.vectors, request.tau_sim, POOL)
        matches = [match for match in found if match.image_id in eligible]
        return found_by_prototypes(matches, failures, request.tau_sim)

    def _search_by_contrast(
        self,
        context: OperationContext,
        request: pb.StartSelectSamplesRequest,
        failures: Failures,
        eligible: Collection[str],
    ) -> tuple[Finds, str]:
        """The eligible images with contrast; where there is none, those of `_search`, and why."""
        anchors = read_anchors(self._objects, request.failures_uri)
        fallback = why_no_contrast(anchors, request.neighbours)
        if fallback:
            return self._search(context, request, failures, eligible), fallback
        cells = sorted(failures.error_rates)
        sets = map_vectors(self._objects, request.pool_uris)
        return find_by_contrast(sets, eligible, anchors, cells, request.neighbours), ""

    def _exclude(self, request: pb.StartSelectSamplesRequest) -> tuple[set[str], dict[str, int]]:
        """The images of the pool that may be drawn, and how many may not, by reason.

        One that two sets describe stands there twice, and leaks if either description does.
        """
        guards = Guards(
            list(iterate_records(self._objects, request.guard_uris)),
            phash_distance=request.phash_distance,
            twin_similarity=request.twin_similarity,
        )
        pool: set[str] = set()
        leaking: dict[str, str] = {}
        for records in in_batches(iterate_records(self._objects, request.pool_uris, POOL), _GUARDED_AT_ONCE):
            pool.update(record.image_id for record in records)
            for leak in guards.leaks(records):
                leaking.setdefault(leak.image_id, leak.reason.value)
        if not pool:
            raise FailedPrecondition(
                "The pool holds no image.",
                field="pool_uris",
                value=len(request.pool_uris),
                remedy='Ingest images with the split "pool" and name their image set.',
            )
        used = self._store.used_by_others(request.run_id, request.arm, request.operation_id)
        excluded = Counter(f"leak_{reason}" for reason in leaking.values())
        excluded["used_before"] = len(used.intersection(pool) - leaking.keys())
        return pool - leaking.keys() - used, dict(excluded)

    def _publish(self, request: pb.StartSelectSamplesRequest, samples: Sequence[Sample], selection: Selection) -> str:
        return publish(
            self._objects,
            "selection",
            {"samples.jsonl": samples, "selection.json": selection},
            counts={"samples": len(samples)},
            parents=[*filter(None, [request.failures_uri]), *request.pool_uris, *request.guard_uris],
            configuration={
                "alpha": request.alpha,
                "arm": request.arm,
                "budget": request.budget,
                "neighbours": request.neighbours,
                "phash_distance": request.phash_distance,
                "round": request.round,
                "strategy": selection.strategy,
                "tau_pool_share": request.tau_pool_share,
                "tau_sim": request.tau_sim,
                "twin_similarity": request.twin_similarity,
            },
            seed=request.seed,
        )
