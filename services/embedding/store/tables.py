"""The tables of the embedding service, and their rows as the rest of it sees them."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from shared.events.outbox import Outbox
from shared.rows.images import Status

STORED: Status = "stored"
QUARANTINED: Status = "quarantined"
FAILED: Status = "failed"

METADATA = sa.MetaData()
OUTBOX = Outbox(METADATA)
IMAGES = sa.Table(
    "images",
    METADATA,
    sa.Column("image_id", sa.Text, primary_key=True),
    sa.Column("image_uri", sa.Text, nullable=False),
    sa.Column("phash", sa.Text, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("window", sa.Text, nullable=False),
    sa.Column("modality", sa.Text, nullable=False),
    sa.Column("structure", sa.Text, nullable=False, server_default=""),
    sa.Column("depth", sa.Text, nullable=False, server_default=""),
)
MEMBERS = sa.Table(
    "members",
    METADATA,
    sa.Column("image_id", sa.ForeignKey("images.image_id"), primary_key=True),
    sa.Column("split", sa.Text, primary_key=True),
    sa.Column("modality", sa.Text, nullable=False),
    sa.Column("source_id", sa.Text, nullable=False),
    sa.Column("patient", sa.Text, nullable=False),
    sa.Column("session", sa.Text, nullable=False),
)
VECTORS = sa.Table(
    "vectors",
    METADATA,
    sa.Column("image_id", sa.ForeignKey("images.image_id"), primary_key=True),
    sa.Column("encoder_id", sa.Text, primary_key=True),
    sa.Column("vector", sa.LargeBinary, nullable=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("claimed_until", sa.Float, nullable=False),
    sa.Column("deaths", sa.Integer, nullable=False, server_default="0"),
)
INPUTS = sa.Table(
    "inputs",
    METADATA,
    sa.Column("operation_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("image_id", sa.Text, nullable=False, index=True),
    sa.Column("modality", sa.Text, nullable=False),
    sa.Column("source_id", sa.Text, nullable=False),
    sa.Column("patient", sa.Text, nullable=False),
    sa.Column("session", sa.Text, nullable=False),
    sa.Column("split", sa.Text, nullable=False),
    sa.Column("licence", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("remedy", sa.Text, nullable=False),
    sa.Column("modality_from", sa.Text, nullable=False, server_default=""),
)
IN_HAND = sa.Table(
    "in_hand",
    METADATA,
    sa.Column("operation_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("deaths", sa.Integer, nullable=False),
)
#: What was in hand at so many deaths of the service is given up.
MOST_DEATHS = 3


@dataclass(frozen=True)
class ImageRow:
    """A stored image. `window` is a JSON object or "null"; `modality` is the first one it was known by.

    `structure` is "" for an image that a release without structure hashes took in, until it is taken in again. `depth` is a
    JSON object (`work.depths.StoredDepth`), of the first file that had more than 8 bits and these pixels, or "".
    """

    image_id: str
    image_uri: str
    phash: str
    width: int
    height: int
    window: str
    modality: str
    structure: str = ""
    depth: str = ""


@dataclass(frozen=True)
class Member:
    """An image as a member of a split."""

    image_id: str
    split: str
    modality: str
    source_id: str
    patient: str
    session: str


@dataclass(frozen=True)
class InputRow:
    """What became of one input of an ingest; `image_id` and what follows are "" where nothing was stored."""

    name: str
    status: Status
    image_id: str = ""
    modality: str = ""
    source_id: str = ""
    patient: str = ""
    session: str = ""
    split: str = ""
    licence: str = ""
    reason: str = ""
    remedy: str = ""
    modality_from: str = ""

    @property
    def member(self) -> Member:
        """The membership that a stored input makes."""
        return Member(self.image_id, self.split, self.modality, self.source_id, self.patient, self.session)
