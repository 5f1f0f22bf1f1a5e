"""What retrieval remembers: which images each arm of each run has selected, and which encoder's index serves."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from shared.database import insert_new, reader

METADATA = sa.MetaData()
_SELECTIONS = sa.Table(
    "selections",
    METADATA,
    sa.Column("operation_id", sa.Text, primary_key=True),
    sa.Column("image_id", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("arm", sa.Text, nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Index("selections_by_arm", "run_id", "arm"),
)
#: One row, of the key "pool".
_SERVING = sa.Table(
    "serving", METADATA, sa.Column("name", sa.Text, primary_key=True), sa.Column("encoder_id", sa.Text, nullable=False)
)
_POOL = "pool"


class ServingStore:
    """Which encoder's index serves, in the service's own database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def get(self) -> str:
        """The encoder's id; "" while there is none."""
        with reader(self._engine).connect() as connection:
            return connection.execute(sa.select(_SERVING.c.encoder_id)).scalar_one_or_none() or ""

    def first(self, encoder_id: str) -> None:
        """Let it serve, if none does."""
        with self._engine.begin() as connection:
            insert_new(connection, _SERVING, [{"name": _POOL, "encoder_id": encoder_id}])

    def switch(self, encoder_id: str) -> None:
        """Let it serve in the place of the one that does."""
        with self._engine.begin() as connection:
            connection.execute(sa.update(_SERVING).values(encoder_id=encoder_id))


class SelectionStore:
    """The table, in the service's own database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def used_by_others(self, run_id: str, arm: str, operation_id: str) -> set[str]:
        """The images that other operations selected for this arm; what this one wrote before a restart does not count."""
        query = sa.select(_SELECTIONS.c.image_id).where(
            (_SELECTIONS.c.run_id == run_id) & (_SELECTIONS.c.arm == arm) & (_SELECTIONS.c.operation_id != operation_id)
        )
        with reader(self._engine).connect() as connection:
            return set(connection.execute(query).scalars())

    def record(self, operation_id: str, run_id: str, arm: str, round_: int, image_ids: Iterable[str]) -> None:
        """Note a selection, all or nothing; again without effect."""
        key = {"operation_id": operation_id, "run_id": run_id, "arm": arm, "round": round_}
        with self._engine.begin() as connection:
            insert_new(connection, _SELECTIONS, [{**key, "image_id": image_id} for image_id in image_ids])
