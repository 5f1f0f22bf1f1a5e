"""Kind `selection`: the pool images that were drawn (Eq. 2 of the paper and the adaptive draw)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from shared.rows.fields import Count, ImageId, Label, ObjectUri, Row, SourceId


class Sample(Row):
    """A drawn image; a random draw has neither prototype nor similarity nor capability."""

    sample_id: Annotated[str, Meta(description="from arm, round and image, 32 hex digits", min_length=1)]
    image_id: ImageId
    image_uri: ObjectUri
    modality: Label
    source_id: SourceId
    prototype_id: Annotated[str, Meta(description='the prototype that found it; "" for none')]
    similarity: Annotated[float | None, Meta(description="cosine to that prototype; null for none")]
    capability: Annotated[str, Meta(description='the capability that it was drawn for; "" for none')]


class Selection(Row):
    """How a draw went."""

    strategy: Annotated[str, Meta(description="a name of `medq.retrieval.v1.Strategy`, in lower case")]
    requested: Annotated[int, Meta(ge=0, description="the budget")]
    selected: Count
    reason: Annotated[str, Meta(description='why fewer were selected than requested; "" otherwise')]
    excluded: Annotated[dict[str, Count], Meta(description="images that could not be drawn, by reason")]
