"""From the service's tables to the lines of an image set."""

from __future__ import annotations

from typing import cast

import msgspec

from services.embedding.ports import Entry
from services.embedding.store.tables import ImageRow, InputRow
from shared.rows.fields import Modality, Split
from shared.rows.images import Image, Input, ModalityFrom, Window


def input_line(entry: Entry, row: InputRow, why_again: str) -> Input:
    """A line of `report.jsonl`; `why_again` is "" for what is no duplicate."""
    return Input(
        name=row.name,
        image_path=entry.image_path,
        image_id=row.image_id,
        status="duplicate" if why_again else row.status,
        reason="; ".join(filter(None, (why_again, row.reason))),
        remedy=row.remedy,
    )


def image_line(image: ImageRow, row: InputRow) -> Image:
    """A line of `images.jsonl`: what the pixels are, and what this ingest said of them."""
    return Image(
        image_id=image.image_id,
        image_uri=image.image_uri,
        phash=image.phash,
        width=image.width,
        height=image.height,
        window=msgspec.json.decode(image.window, type=Window | None),
        modality=cast(Modality, row.modality),
        source_id=row.source_id,
        patient=row.patient,
        session=row.session,
        split=cast(Split, row.split),
        licence=row.licence,
        structure=image.structure,
        modality_from=cast(ModalityFrom, row.modality_from),
    )
