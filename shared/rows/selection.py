"""Kind `selection`: the pool images that were drawn (Eq. 2 of the paper or the contrast, and the adaptive draw; or a peer)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from shared.rows.fields import Count, ImageId, Label, ObjectUri, Row, SourceId, written


class Sample(Row):
    """A drawn image; a draw by contrast has no prototype, one by a score only its measure, a random one none of it."""

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
    measure: Annotated[str, Meta(description='what `score` is: `novelty`, `distance` or `entropy`; "" for none')] = ""
    score: Annotated[
        float | None,
        Meta(
            description="`novelty`: 1 - mean cosine to the nearest reference images; `distance`: 1 - largest cosine to them and "
            "to the images that were taken before; `entropy`: mean H_traj of the model's answers about its quality; null for none"
        ),
    ] = None


class Found(Row):
    """What one prototype found, or, by contrast, what was found of one cell; by a score, what has one. An image counts once."""

    name: Annotated[str, Meta(description="prototype id, cell, or measure", min_length=1)]
    n_found: Count
    n_drawn: Count
    mean: Annotated[
        float, Meta(description="of what was found: mean cosine to the prototype, mean contrast, or mean score")
    ]


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
        str, Meta(description='why images were drawn by another strategy instead; "" where they were not')
    ] = written("")
    drawn_by: Annotated[str, Meta(description='that other strategy; "" where there was none')] = written("")
    found: Annotated[tuple[Found, ...], Meta(description="most first; empty for a random draw")] = written(())
