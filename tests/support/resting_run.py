"""A run that no process works on: its rows in the controller's database, and the training sets that its rounds made."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.controller.configuration.models import RunConfiguration
from services.controller.migrations import SCHEMA
from services.controller.store.ledger import Ledger
from services.controller.store.runs import Result, RunStore
from services.training.dataset.files import lay_out
from services.training.domain.samples import TrainingSample, from_decision, from_replay
from shared.database import create_engine, sqlite_url
from shared.objects.dataset import publish, write_dataset
from shared.objects.folder import FolderObjectStore
from shared.operation_rows import OperationRows
from shared.operation_table import SUCCEEDED
from shared.resources import database_file
from shared.rows.annotation import Decision
from shared.rows.benchmark import Item
from shared.rows.training import Dropped
from tests.support.evaluation import put_image
from tests.support.rows import build

RUN, ARM = "run", "failure_driven"
OPTIONS = {"A": "Noise", "B": "Motion"}


class RestingRun:
    """A run of one folder, whose steps a test notes by itself.

    Args:
        out: Its output folder.
        arms: Names of strategies.
    """

    def __init__(self, out: Path, arms: Sequence[str] = (ARM,)) -> None:
        self.out = out
        self.objects = FolderObjectStore(out / "state" / "objects", synced=False)
        self._engine = create_engine(sqlite_url(database_file(out / "state", SCHEMA)))
        SCHEMA.migrate_file(self._engine)
        operations = OperationRows(self._engine, "controller", 60)
        operations.insert(RUN, "medq.controller.v1.StartRunRequest", b"", RUN)
        operations.claim(RUN)
        operations.finish(RUN, 1.0, state=SUCCEEDED)
        self.store, self.ledger = RunStore(self._engine), Ledger(self._engine)
        data = {"pool": "/p", "pool_answers": "/a", "dev": "/d", "test": "/t"}
        chosen = {"annotate": {"oracle": "simulated", "expert": "simulated"}, "arms": list(arms)}
        configuration = RunConfiguration.model_validate({"name": "n", "data": data, "model": "/m", **chosen})
        self.store.create(RUN, configuration.model_dump(mode="json"))

    def note(self, step: str, uri: str, *, arm: str = ARM, round_number: int = 0, **detail: Any) -> str:
        """Note what a step gave; its URI."""
        self.store.record(
            RUN, Result(arm, round_number, step, "service", f"{RUN}/{arm}/{round_number}/{step}", uri, detail)
        )
        return uri

    def put(self, kind: str, files: dict[str, Any]) -> str:
        """A dataset of these files."""
        return publish(self.objects, kind, files, counts={}, parents=[], configuration={})

    def decision(self, number: int, round_number: int = 0, **said: Any) -> Decision:
        """A decision about an image of its own, which is stored."""
        uri = put_image(self.objects, 10 + number)
        return build(
            Decision,
            **{
                "decision_id": f"d{number}",
                "sample_id": f"sample-{number}",
                "image_id": uri.removeprefix("sha256:"),
                "image_uri": uri,
                "question": f"What is wrong with image {number}?",
                "options": OPTIONS,
                "answer": "AB"[number % 2],
                **said,
            },
        )

    def replayed(self, number: int) -> Item:
        """An item that is replayed, about a stored image."""
        uri = put_image(self.objects, 200 + number)
        image = {"image_id": uri.removeprefix("sha256:"), "image_uri": uri}
        return build(Item, item_id=f"item-{number}", options=OPTIONS, answer="A", **image)

    def train_on(
        self,
        decisions: Sequence[Decision],
        items: Sequence[Item] = (),
        *,
        arm: str = ARM,
        round_number: int = 0,
        dropped: Sequence[Dropped] = (),
    ) -> str:
        """The training set of a round, noted as its step `build_dataset`; its URI."""
        samples: list[TrainingSample] = [*map(from_decision, decisions), *map(from_replay, items)]
        provenance = {"parents": [], "configuration": {"arm": arm, "round": round_number}, "seed": 0}
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for sample in samples:
                self.objects.fetch(sample.lineage.image_uri, folder / sample.image_name)
            lay_out(folder, samples, dropped, provenance)
            counts = {"samples": len(samples), "dropped": len(dropped)}
            uri = write_dataset(self.objects, "dataset", folder, counts=counts, **provenance)
        return self.note("build_dataset", uri, arm=arm, round_number=round_number)

    def close(self) -> None:
        """Leave the folder to whoever comes."""
        self._engine.dispose()
