"""Kind `selection`: the pool images that were drawn (Eq. 2 of the paper, or the contrast, and the adaptive draw)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from shared.rows.fields import Count, ImageId, Label, ObjectUri, Row, SourceId, written


class Sample(Row):
    """A drawn image; a random draw has neither prototype nor similarity nor capability, one by contrast has no prototype."""

    sample_id: Annotated[str, Meta(description="from arm, round and image, 32 hex digits", min_length=1)]
    image_id: ImageId
    image_uri: ObjectUri
    modality: Label
    source_id: SourceId
    prototype_id: Annotated[str, Meta(description='the prototype that found it; "" for none')]
    similarity: Annotated[float | None, Meta(description="cosine to that prototype; null for none")]
    capability: Annotated[str, Meta(description='the capability that it was drawn for; "" for none')]
    contrast: Annotated[
        float | None,
        Meta(description="mean cosine to the nearest failed dev images minus that to those that never failed"),
    ] = None


class Found(Row):
    """What one prototype found, or, by contrast, what was found of one cell; an image counts once, where it is nearest."""

    name: Annotated[str, Meta(description="prototype id, or cell", min_length=1)]
    n_found: Count
    n_drawn: Count
    mean: Annotated[float, Meta(description="of what was found: mean cosine to the prototype, or mean contrast")]


class Selection(Row):
    """How a draw went."""

    strategy: Annotated[str, Meta(description="a name of `medq.retrieval.v1.Strategy`, in lower case")]
    requested: Annotated[int, Meta(ge=0, description="the budget")]
    selected: Count
    reason: Annotated[str, Meta(description='why fewer were selected than requested; "" otherwise')]
    excluded: Annotated[dict[str, Count], Meta(description="images that could not be drawn, by reason")]
    tau_sim: Annotated[
        float | None, Meta(description="the threshold of Eq. 2 in effect; null where nothing was found by prototypes")
    ] = written(None)
    fallback: Annotated[
        str, Meta(description='why images were drawn by failure_driven instead; "" where they were not')
    ] = written("")
    found: Annotated[tuple[Found, ...], Meta(description="most first; empty for a random draw")] = written(())
