"""Kind `benchmark`: questions with their answers about stored images, and the rows of the table that are none."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from shared.rows.fields import ImageId, Label, ObjectUri, Options, Reply, Row, SourceId, Split, written


class Item(Row):
    """A question about one stored image: with its options and the right letter, or with a reference description."""

    item_id: Annotated[str, Meta(description="the table's `index`, unique in it", min_length=1)]
    image_id: ImageId
    image_uri: ObjectUri
    question: Annotated[str, Meta(min_length=1)]
    options: Options
    answer: Annotated[Reply, Meta(description="the right letter; of a description its reference text")]
    question_type: Annotated[Label, Meta(description="`yes_no`, `what`, `how` or `description`")]
    attribute: Label
    severity: Label
    scope: Label
    modality: Label
    source_id: SourceId
    split: Split
    slice: Annotated[
        Label, Meta(description="a part of the table that reports break figures down by; it decides nothing")
    ] = written("")


class Rejection(Row):
    """Why a row of the table is no item, and what can be done about it."""

    name: Annotated[str, Meta(description="the table's `index`, or `line N` where that is empty")]
    reason: str
    remedy: str
    is_of_another_split: Annotated[
        bool, Meta(description="true: the row is fine, and belongs to another split than the one that was imported")
    ] = False
