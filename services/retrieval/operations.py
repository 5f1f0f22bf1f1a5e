"""The long work of retrieval: putting image sets into the index, and selecting what is to be annotated.

Restartable: an entry of the index is keyed by image and split, a selection by operation, run and arm; a draw is seeded.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from prometheus_client import Histogram

from medq.retrieval.v1 import retrieval_pb2 as pb
from services.retrieval.domain.sampling import BY_CONTRAST, BY_REFERENCE, Candidates, Draw, Strategy, draw_samples
from services.retrieval.store import SelectionStore
from services.retrieval.work.answers import find_unsure
from services.retrieval.work.eligible import POOL, Eligible, read_eligible
from services.retrieval.work.failures import NO_FAILURES, Failures, read_anchors, read_failures
from services.retrieval.work.finding import (
    WHY_NOT_FOUND,
    Finds,
    Measure,
    find_all,
    find_by_contrast,
    find_share,
    found_by_prototypes,
    why_no_contrast,
)
from services.retrieval.work.image_sets import count_images, encoder_of, find_images, iterate_batches, map_vectors
from services.retrieval.work.indexes import Indexes
from services.retrieval.work.references import find_beyond
from services.retrieval.work.samples import samples_of
from shared.objects.dataset import publish
from shared.objects.store import ObjectStore
from shared.operation_context import OperationContext
from shared.rows.selection import Sample, Selection
from shared.rpc.choices import choices

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
        self._require_one_encoder(request)
        pool = read_eligible(self._objects, self._store, request)
        context.progress(0, 3, "steps", "searching the pool")
        failures = read_failures(self._objects, request.failures_uri) if request.failures_uri else NO_FAILURES
        finds, drawn_by, fallback = self._find(context, request, failures, pool)
        context.progress(1, 3, "steps", "drawing")
        draw = _draw(request, finds, failures, drawn_by)
        drawn = [finds.ids[row] for row in draw.rows.tolist()]
        images = find_images(self._objects, request.pool_uris, POOL, set(drawn))
        samples = samples_of(request, draw, finds, images)
        context.progress(2, 3, "steps", "writing")
        self._store.record(request.operation_id, request.run_id, request.arm, request.round, drawn)
        why = WHY_NOT_FOUND.get(finds.measure)
        selection = Selection(
            strategy=STRATEGIES[request.strategy].value,
            requested=request.budget,
            selected=len(samples),
            reason=draw.reason,
            excluded={**pool.left_out, **finds.missed, **({why: len(pool.ids) - len(finds.ids)} if why else {})},
            tau_sim=finds.tau_sim,
            fallback=fallback,
            drawn_by=drawn_by.value if fallback else "",
            found=finds.counted(draw.rows),
        )
        return self._publish(request, samples, selection)

    def _require_one_encoder(self, request: pb.StartSelectSamplesRequest) -> None:
        """Refuse vectors of several encoders that would be compared."""
        strategy = STRATEGIES[request.strategy]
        if strategy not in (Strategy.RANDOM, Strategy.UNCERTAINTY):
            others = request.reference_uris if strategy in BY_REFERENCE else [request.failures_uri]
            encoder_of(self._objects, [*request.pool_uris, *others])

    def _find(
        self, context: OperationContext, request: pb.StartSelectSamplesRequest, failures: Failures, pool: Eligible
    ) -> tuple[Finds, Strategy, str]:
        """What is found by the strategy, or by the one in its place, which strategy that is, and why another one."""
        strategy, fallback = STRATEGIES[request.strategy], ""
        if strategy in BY_CONTRAST:
            finds, fallback = self._search_by_contrast(request, failures, pool.ids)
            if not fallback:
                return finds, strategy, ""
            strategy = BY_CONTRAST[strategy]
        if strategy is Strategy.RANDOM:
            return find_all(pool.ids), strategy, fallback
        if strategy is Strategy.UNCERTAINTY:
            return find_unsure(self._objects, request, pool.ids), strategy, fallback
        if strategy in BY_REFERENCE:

            def covering(n_taken: int) -> None:
                context.progress(n_taken, request.budget, "images", "covering the pool")

            return find_beyond(self._objects, request, strategy, pool.ids, pool.used, covering), strategy, ""
        return self._search(context, request, failures, pool.ids), strategy, fallback

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
        self, request: pb.StartSelectSamplesRequest, failures: Failures, eligible: Collection[str]
    ) -> tuple[Finds, str]:
        """The eligible images with contrast; where there is none, nothing, and why."""
        strategy = STRATEGIES[request.strategy]
        anchors = read_anchors(self._objects, request.failures_uri)
        why = why_no_contrast(anchors, request.neighbours, strategy.value, BY_CONTRAST[strategy].value)
        if why:
            return find_all([]), why
        if strategy is Strategy.SHUFFLED_FAILURES:  # by another stream than the draw
            anchors = anchors.shuffled(np.random.default_rng(request.seed).spawn(1)[0])
        sets = map_vectors(self._objects, request.pool_uris)
        return find_by_contrast(sets, eligible, anchors, sorted(failures.error_rates), request.neighbours), ""

    def _publish(self, request: pb.StartSelectSamplesRequest, samples: Sequence[Sample], selection: Selection) -> str:
        return publish(
            self._objects,
            "selection",
            {"samples.jsonl": samples, "selection.json": selection},
            counts={"samples": len(samples)},
            parents=[
                *filter(None, [request.failures_uri]),
                *request.pool_uris,
                *request.guard_uris,
                *_read_beside(request),
            ],
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


def _read_beside(request: pb.StartSelectSamplesRequest) -> Sequence[str]:
    """The datasets that the strategy reads beside pool, guards and failures."""
    strategy = STRATEGIES[request.strategy]
    if strategy in BY_REFERENCE:
        return request.reference_uris
    return [request.questions_uri, request.generations_uri] if strategy is Strategy.UNCERTAINTY else []


def _draw(request: pb.StartSelectSamplesRequest, finds: Finds, failures: Failures, strategy: Strategy) -> Draw:
    return draw_samples(
        Candidates(finds.ids, finds.finder, finds.values if finds.measure is not Measure.SIMILARITY else None),
        finds.profiles,
        failures.error_rates,
        strategy=strategy,
        alpha=request.alpha,
        budget=request.budget,
        rng=np.random.default_rng(request.seed),
    )
