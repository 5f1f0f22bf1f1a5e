"""What embedding remembers: images, their splits, their vectors and the claims on them, the inputs of ingests."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from services.embedding.store.inputs import Inputs, find_rows
from services.embedding.store.tables import (
    IMAGES,
    IN_HAND,
    INPUTS,
    MEMBERS,
    MOST_DEATHS,
    OUTBOX,
    STORED,
    VECTORS,
    ImageRow,
    InputRow,
    Member,
)
from shared.database import insert_new, now, reader
from shared.events.bus import Event
from shared.rows.images import entry_of

#: After so long a claimed image is free for another worker.
CLAIM_SECONDS = 60.0

EmbeddedEvent = Callable[[ImageRow, Member, bytes], Event]
Clock = Callable[[], float | sa.ColumnElement[float]]


class Store:
    """The tables, in the service's own database.

    Args:
        engine: The database.
        encoder_id: Vectors of other encoders are neither seen nor touched.
        owner: Stable name of this process; claims that it left when it was killed are freed at once.
        clock: Seconds, for claims; the same for every worker: the database's.
    """

    def __init__(self, engine: sa.Engine, encoder_id: str, owner: str, clock: Clock = now) -> None:
        self._engine = engine
        self.inputs = Inputs(engine)
        self._encoder_id = encoder_id
        self._owner = owner
        self._clock = clock
        with engine.begin() as connection:
            mine = (VECTORS.c.owner == owner) & (VECTORS.c.encoder_id == encoder_id) & VECTORS.c.vector.is_(None)
            connection.execute(sa.update(VECTORS).where(mine).values(claimed_until=0.0))

    def record(
        self,
        operation_id: str,
        rows: Sequence[InputRow],
        images: Iterable[ImageRow],
        ingested: Callable[[ImageRow], Event],
        embedded: EmbeddedEvent,
    ) -> None:
        """Note a batch of inputs, all or nothing, and tell what is new: once an input, however often it is tried.

        Whatever else writes the same rows takes its locks in the same order: images, members, vectors, each by id.

        An image without a vector is announced as ingested; a new membership of one that has a vector, as embedded.
        """
        new = {"encoder_id": self._encoder_id, "vector": None, "owner": "", "claimed_until": 0.0}
        with self._engine.begin() as connection:
            ordered = sorted(
                images, key=lambda image: (image.image_id, not image.depth)
            )  # the row has depth if one has
            new_images = {
                image_id for (image_id,) in insert_new(connection, IMAGES, [asdict(image) for image in ordered])
            }
            for image in ordered:
                if (
                    image.image_id not in new_images
                ):  # an older release may have taken it in, or a file of 8 bits held it
                    _add_what_lacks(connection, image)
            vectors = [{"image_id": image.image_id, **new} for image in ordered]
            without = {image_id for image_id, _ in insert_new(connection, VECTORS, vectors)}
            OUTBOX.add(connection, *(ingested(image) for image in ordered if image.image_id in without))
            insert_new(connection, INPUTS, [{"operation_id": operation_id, **vars(row)} for row in rows])
            done = (IN_HAND.c.operation_id == operation_id) & IN_HAND.c.name.in_({entry_of(row.name) for row in rows})
            connection.execute(sa.delete(IN_HAND).where(done))
            members = sorted((row.member for row in rows if row.status == STORED), key=_key)
            self._announce(connection, self._join(connection, members), embedded)

    def describe(self, operation_id: str, rows: Sequence[InputRow], embedded: EmbeddedEvent) -> None:
        """Note what is known now of inputs that are stored, all or nothing, and tell of each membership that it changes."""
        with self._engine.begin() as connection:
            for row in rows:
                mine = (INPUTS.c.operation_id == operation_id) & (INPUTS.c.name == row.name)
                connection.execute(sa.update(INPUTS).where(mine).values(vars(row)))
            members = sorted((row.member for row in rows), key=_key)
            self._announce(connection, self._join(connection, members), embedded)

    def claim(self, image_ids: Sequence[str]) -> list[str]:
        """Take those of these images that have no vector and that no other worker has in hand.

        Args:
            image_ids: A batch, at most a few hundred.

        Returns: Their ids, sorted; claimed for `CLAIM_SECONDS`. Those given up are left out.
        """
        time = self._clock()
        free = (
            sa.select(VECTORS.c.image_id)
            .where((VECTORS.c.encoder_id == self._encoder_id) & VECTORS.c.vector.is_(None))
            .where((VECTORS.c.claimed_until <= time) & VECTORS.c.image_id.in_(image_ids))
            .where(VECTORS.c.deaths < MOST_DEATHS)
            .with_for_update(skip_locked=True)
        )
        statement = (
            sa.update(VECTORS)
            .where((VECTORS.c.encoder_id == self._encoder_id) & VECTORS.c.image_id.in_(free))
            .values(owner=self._owner, claimed_until=time + CLAIM_SECONDS, deaths=VECTORS.c.deaths + 1)
            .returning(VECTORS.c.image_id)
        )
        with self._engine.begin() as connection:
            return sorted(connection.execute(statement).scalars())

    def release(self, image_ids: Sequence[str]) -> None:
        """Give claims back, so that another worker need not wait for them to run out."""
        with self._engine.begin() as connection:
            mine = VECTORS.c.image_id.in_(image_ids) & (VECTORS.c.encoder_id == self._encoder_id)
            mine &= VECTORS.c.owner == self._owner
            connection.execute(
                sa.update(VECTORS).where(mine & (VECTORS.c.deaths > 0)).values(deaths=VECTORS.c.deaths - 1)
            )
            connection.execute(sa.update(VECTORS).where(mine).values(claimed_until=0.0))

    def deaths(self, image_ids: Collection[str]) -> dict[str, int]:
        """How many workers died, or are at work, with these images in their claims; images with a vector are left out."""
        query = sa.select(VECTORS.c.image_id, VECTORS.c.deaths).where(VECTORS.c.encoder_id == self._encoder_id)
        query = query.where(VECTORS.c.vector.is_(None) & (VECTORS.c.deaths > 0))
        return {row.image_id: row.deaths for row in self._rows(query, VECTORS.c.image_id, image_ids)}

    def put_vectors(self, image_ids: Sequence[str], vectors: NDArray[np.float32], embedded: EmbeddedEvent) -> None:
        """Keep vectors and tell of each membership; a vector that another worker was faster with stays."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(VECTORS)
                .where((VECTORS.c.image_id == sa.bindparam("of")) & VECTORS.c.vector.is_(None))
                .where(VECTORS.c.encoder_id == self._encoder_id)
                .values(vector=sa.bindparam("body")),
                [
                    {"of": image_id, "body": np.ascontiguousarray(vector, dtype="<f4").tobytes()}
                    for image_id, vector in sorted(zip(image_ids, vectors, strict=True), key=lambda pair: pair[0])
                ],
            )
            query = sa.select(MEMBERS).where(MEMBERS.c.image_id.in_(image_ids))
            members = connection.execute(query.order_by(MEMBERS.c.image_id, MEMBERS.c.split)).all()
            self._announce(connection, [Member(**row._mapping) for row in members], embedded)

    def without_vector(self, image_ids: Collection[str]) -> list[str]:
        """Those of these images that have no vector yet, sorted."""
        query = sa.select(VECTORS.c.image_id).where(self._has_vector)
        return sorted(set(image_ids) - {row.image_id for row in self._rows(query, VECTORS.c.image_id, image_ids)})

    def vectors(self, image_ids: Collection[str]) -> dict[str, bytes]:
        """The vectors of these images (little-endian float32) that are there."""
        query = sa.select(VECTORS.c.image_id, VECTORS.c.vector).where(self._has_vector)
        return {row.image_id: row.vector for row in self._rows(query, VECTORS.c.image_id, image_ids)}

    def images(self, image_ids: Collection[str]) -> dict[str, ImageRow]:
        """The rows of these images that are known."""
        return {
            row.image_id: ImageRow(**row._mapping)
            for row in self._rows(sa.select(IMAGES), IMAGES.c.image_id, image_ids)
        }

    def encoders_of(self, image_id: str) -> list[str]:
        """The encoders, of all, that have a vector of this image, sorted."""
        query = sa.select(VECTORS.c.encoder_id).where((VECTORS.c.image_id == image_id) & VECTORS.c.vector.is_not(None))
        with reader(self._engine).connect() as connection:
            return sorted(connection.execute(query).scalars())

    @property
    def _has_vector(self) -> sa.ColumnElement[bool]:
        return (VECTORS.c.encoder_id == self._encoder_id) & VECTORS.c.vector.is_not(None)

    def _rows(self, query: sa.Select[Any], key: sa.Column[str], keys: Collection[str]) -> Iterator[sa.Row[Any]]:
        return find_rows(self._engine, query, key, keys)

    def _join(self, connection: sa.Connection, members: Sequence[Member]) -> list[Member]:
        """Make images members of splits as now described.

        Args:
            connection: The transaction.
            members: In the order of their keys.

        Returns: Those that were not, or that are described anew.
        """
        new = insert_new(connection, MEMBERS, [asdict(member) for member in members])
        query = sa.select(MEMBERS).where(MEMBERS.c.image_id.in_({member.image_id for member in members}))
        known = {_key(member): member for member in (Member(**row._mapping) for row in connection.execute(query))}
        changed = []
        for member in members:
            if known[_key(member)] != member:
                mine = (MEMBERS.c.image_id == member.image_id) & (MEMBERS.c.split == member.split)
                connection.execute(sa.update(MEMBERS).where(mine).values(asdict(member)))
                known[_key(member)] = member
            elif _key(member) not in new:
                continue
            new.discard(_key(member))
            changed.append(member)
        return changed

    def _announce(self, connection: sa.Connection, members: Sequence[Member], embedded: EmbeddedEvent) -> None:
        # The lock on a vector's row orders this against a worker that stores it at the same moment.
        query = (
            sa.select(IMAGES, VECTORS.c.vector)
            .join(VECTORS, VECTORS.c.image_id == IMAGES.c.image_id)
            .where(VECTORS.c.encoder_id == self._encoder_id)
            .where(IMAGES.c.image_id.in_({member.image_id for member in members}))
            .order_by(IMAGES.c.image_id)
            .with_for_update(of=VECTORS)
        )
        found = {}
        for row in connection.execute(query) if members else ():
            values = dict(row._mapping)
            found[row.image_id] = values.pop("vector"), values
        told = [(member, *found[member.image_id]) for member in members]
        OUTBOX.add(
            connection,
            *(embedded(ImageRow(**image), member, vector) for member, vector, image in told if vector is not None),
        )


def _add_what_lacks(connection: sa.Connection, image: ImageRow) -> None:
    """Give the row of an image what it has not; what it has stays."""
    for name, value in (("structure", image.structure), ("depth", image.depth)):
        if value:
            lacking = (IMAGES.c.image_id == image.image_id) & (IMAGES.c[name] == "")
            connection.execute(sa.update(IMAGES).where(lacking).values({name: value}))


def _key(member: Member) -> tuple[object, ...]:
    return member.image_id, member.split
