"""What is in hand: marks on what is being read or embedded, so that what ends the service is known by name.

A mark is made before an input is read and goes with its outcome. Whoever is killed leaves its marks behind: each counts the
deaths that its input was in hand at, and an orderly end takes its count back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa

from services.embedding.store.images import Clock
from services.embedding.store.tables import FAILED, IN_HAND, INPUTS, MOST_DEATHS, VECTORS
from shared.database import insert_new, insist, now, reader


class Marks:
    """The marks, in the service's own database.

    Args:
        engine: The database.
        clock: Seconds, as the claims on images have it.
    """

    def __init__(self, engine: sa.Engine, clock: Clock = now) -> None:
        self._engine = engine
        self._clock = clock

    def deaths(self, operation_id: str) -> dict[str, int]:
        """How many deaths each input of an ingest was in hand at, by name; those at none are left out."""
        query = sa.select(IN_HAND.c.name, IN_HAND.c.deaths).where(IN_HAND.c.operation_id == operation_id)
        with reader(self._engine).connect() as connection:
            return {name: deaths for name, deaths in connection.execute(query) if deaths > 0}

    @contextmanager
    def in_hand(self, operation_id: str, names: Sequence[str]) -> Iterator[None]:
        """Mark a batch of inputs while it is read and recorded: `Store.record` takes the marks away with what it notes."""
        self.take(operation_id, names)
        try:
            yield
        except BaseException:
            self._give_back(operation_id, names)
            raise

    def drop(self, operation_id: str, name: str) -> None:
        """Take a mark away whose work is done."""
        mine = (IN_HAND.c.operation_id == operation_id) & (IN_HAND.c.name == name)
        with self._engine.begin() as connection:
            connection.execute(sa.delete(IN_HAND).where(mine))

    def take(self, operation_id: str, names: Sequence[str]) -> None:
        """Count a death of each of these inputs beforehand; `in_hand` takes the count back, but where this process is killed."""
        new = [{"operation_id": operation_id, "name": name, "deaths": 0} for name in sorted(names)]
        mine = (IN_HAND.c.operation_id == operation_id) & IN_HAND.c.name.in_(names)
        with self._engine.begin() as connection:
            insert_new(connection, IN_HAND, new)
            connection.execute(sa.update(IN_HAND).where(mine).values(deaths=IN_HAND.c.deaths + 1))

    @insist
    def _give_back(self, operation_id: str, names: Sequence[str]) -> None:
        mine = (IN_HAND.c.operation_id == operation_id) & IN_HAND.c.name.in_(names)
        with self._engine.begin() as connection:
            connection.execute(sa.update(IN_HAND).where(mine).values(deaths=IN_HAND.c.deaths - 1))
            connection.execute(sa.delete(IN_HAND).where(mine & (IN_HAND.c.deaths <= 0)))

    def give_up(self, operation_id: str, encoder_id: str, reason: str, remedy: str) -> set[str]:
        """Let the inputs of an ingest fail whose images no worker survives.

        Args:
            operation_id: The ingest.
            encoder_id: Whose vectors.
            reason, remedy: What its report says of them.

        Returns: The images that are given up: in the claims of `MOST_DEATHS` workers that died, and in none now.
        """
        lost = sa.select(VECTORS.c.image_id).where((VECTORS.c.encoder_id == encoder_id) & VECTORS.c.vector.is_(None))
        lost = lost.where((VECTORS.c.deaths >= MOST_DEATHS) & (VECTORS.c.claimed_until <= self._clock()))
        mine = (INPUTS.c.operation_id == operation_id) & INPUTS.c.image_id.in_(lost)
        values = {"status": FAILED, "image_id": "", "reason": reason, "remedy": remedy}
        with self._engine.begin() as connection:
            given_up = set(connection.execute(sa.select(INPUTS.c.image_id).where(mine)).scalars())
            if given_up:
                mine = (INPUTS.c.operation_id == operation_id) & INPUTS.c.image_id.in_(given_up)
                connection.execute(sa.update(INPUTS).where(mine).values(values))
        return given_up
