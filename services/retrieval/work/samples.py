"""From a draw to the rows of a selection."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from medq.retrieval.v1 import retrieval_pb2 as pb
from services.retrieval.domain.sampling import Draw
from services.retrieval.ports import IndexedImage
from services.retrieval.work.finding import SCORES, Finds, Measure
from shared.rows.selection import Sample


def samples_of(
    request: pb.StartSelectSamplesRequest, draw: Draw, finds: Finds, images: Mapping[str, IndexedImage]
) -> list[Sample]:
    """Rows of `samples.jsonl`, sorted by image id."""
    samples = []
    for row, capability in zip(draw.rows.tolist(), draw.capabilities, strict=True):
        image = images[finds.ids[row]]
        key = f"{request.arm}\0{request.round}\0{image.image_id}"  # not the run: a run repeated is the same
        value = round(float(finds.values[row]), 6)
        is_by_prototype, is_by_contrast = finds.measure is Measure.SIMILARITY, finds.measure is Measure.CONTRAST
        is_by_score = finds.measure in SCORES
        samples.append(
            Sample(
                sample_id=hashlib.sha256(key.encode()).hexdigest()[:32],
                image_id=image.image_id,
                image_uri=image.image_uri,
                modality=image.modality,
                source_id=image.source_id,
                prototype_id=finds.names[finds.finder[row]] if is_by_prototype else "",
                similarity=value if is_by_prototype else None,
                capability=capability,
                contrast=value if is_by_contrast else None,
                measure=finds.measure.value if is_by_score else "",
                score=value if is_by_score else None,
            )
        )
    return samples
