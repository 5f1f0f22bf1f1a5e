"""Which of the eligible images the model was asked about, and how sure it was of what it answered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

import numpy as np

from medq.retrieval.v1 import retrieval_pb2 as pb
from services.retrieval.domain.uncertainty import uncertainty
from services.retrieval.work.finding import Finds, Measure, found_by_score
from services.retrieval.work.image_sets import iterate_images
from shared.objects.dataset import iterate_rows
from shared.objects.store import ObjectStore
from shared.rows.annotation import Generation, Question


def find_unsure(objects: ObjectStore, request: pb.StartSelectSamplesRequest, eligible: Collection[str]) -> Finds:
    """The eligible images with the entropy of the answers about them; those without one are counted by reason.

    Raises:
        NotFound, InvalidArgument: A dataset is not there, or of another kind.
    """
    about = {row.question_id: row.image_uri for row in iterate_rows(objects, request.questions_uri, Question)}
    answers: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for row in iterate_rows(objects, request.generations_uri, Generation):
        if row.question_id in about:
            logprobs = row.token_logprobs if row.answer_logprobs is None else row.answer_logprobs
            answers[about[row.question_id]].append(logprobs)
    entropies: dict[str, float | None] = {}
    for uri in request.pool_uris:
        for image in iterate_images(objects, uri):
            if image.image_id in eligible and image.image_uri in answers:
                entropies[image.image_id] = uncertainty(answers[image.image_uri])
    known = {image_id: entropy for image_id, entropy in entropies.items() if entropy is not None}
    ids = sorted(known)
    missed = {"not_asked": len(eligible) - len(entropies), "no_entropy": len(entropies) - len(known)}
    return found_by_score(
        ids, np.array([known[image_id] for image_id in ids], dtype=np.float64), Measure.ENTROPY, missed
    )
