"""What training writes beside its operations: the events that it publishes."""

from __future__ import annotations

import sqlalchemy as sa

from shared.events.bus import Event
from shared.events.outbox import Outbox

METADATA = sa.MetaData()
#: What the service publishes waits here.
OUTBOX = Outbox(METADATA)


class TrainingStore:
    """The outbox of training.

    Args:
        engine: The service's database.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def publish(self, event: Event) -> None:
        """Have an event published; once more under the same id is dropped by the bus."""
        with self._engine.begin() as connection:
            OUTBOX.add(connection, event)
