from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from medq.embedding.v1 import events_pb2
from services.retrieval.adapters.qdrant_edge import QdrantEdgeIndex
from services.retrieval.handlers import make_handlers
from services.retrieval.store import METADATA, SelectionStore
from shared.errors import FailedPrecondition
from shared.events.bus import Event, topic_of
from tests.support.databases import Database


def embedded(image_id: str, encoder_id: str = "e", modality: str = "ct", split: str = "pool") -> Event:
    vector = np.eye(4, dtype="<f4")[int(image_id) % 4]
    message = events_pb2.ImageEmbedded(
        image_id=image_id, split=split, encoder_id=encoder_id, vector=vector.tobytes(), modality=modality
    )
    return Event(
        image_id, topic_of(events_pb2.ImageEmbedded), "test", image_id, message.SerializeToString(), datetime.now(UTC)
    )


def test_a_batch_is_indexed_and_a_redelivered_one_changes_nothing(tmp_path: Path) -> None:
    index = QdrantEdgeIndex(tmp_path / "index")
    handle = make_handlers(index)[topic_of(events_pb2.ImageEmbedded)]
    events = [embedded("0"), embedded("1"), embedded("1", split="dev"), embedded("0", modality="mri")]
    handle(events)
    handle(events)
    assert index.count_by_split() == {"dev": 1, "pool": 2}
    query = np.eye(4, dtype=np.float32)[0]
    assert index.search(query, 1)[0].image.modality == "mri"  # the later description
    with pytest.raises(FailedPrecondition):
        handle([embedded("2", encoder_id="other")])
    index.close()


def test_a_selection_counts_for_other_operations_of_its_arm_alone(database: Database) -> None:
    store = SelectionStore(database.engine(METADATA))
    for _ in range(2):
        store.record("op-0", "run", "arm", 0, ["a", "b"])
    store.record("op-1", "run", "arm", 1, ["c"])
    assert store.used_by_others("run", "arm", "op-2") == {"a", "b", "c"}
    assert store.used_by_others("run", "arm", "op-1") == {"a", "b"}
    assert store.used_by_others("run", "other", "op-2") == store.used_by_others("else", "arm", "op-2") == set()
