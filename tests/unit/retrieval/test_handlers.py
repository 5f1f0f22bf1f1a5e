from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from medq.embedding.v1 import events_pb2
from services.retrieval.adapters.qdrant_edge import QdrantEdgeIndex, QdrantEdgeIndexes
from services.retrieval.handlers import make_handlers
from services.retrieval.ports import IndexedImage
from services.retrieval.store import METADATA, SelectionStore, ServingStore
from services.retrieval.work.indexes import Indexes
from shared.errors import InvalidArgument
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


def test_a_batch_is_indexed_and_a_redelivered_one_changes_nothing(tmp_path: Path, database: Database) -> None:
    indexes = Indexes(QdrantEdgeIndexes(tmp_path), ServingStore(database.engine(METADATA)))
    handle = make_handlers(indexes)[topic_of(events_pb2.ImageEmbedded)]
    events = [embedded("0"), embedded("1"), embedded("1", split="dev"), embedded("0", modality="mri")]
    handle(events)
    handle(events)
    assert indexes.of("e").count_by_split() == {"dev": 1, "pool": 2}
    query = np.eye(4, dtype=np.float32)[0]
    assert indexes.of("e").search(query, 1)[0].image.modality == "mri"  # the later description
    indexes.close()


def test_each_encoder_has_an_index_of_its_own_and_the_first_one_serves(tmp_path: Path, database: Database) -> None:
    indexes = Indexes(QdrantEdgeIndexes(tmp_path), ServingStore(database.engine(METADATA)))
    assert indexes.serving() == ("", None)
    make_handlers(indexes)[topic_of(events_pb2.ImageEmbedded)]([embedded("0"), embedded("1", encoder_id="other")])
    assert indexes.encoder_ids() == ["e", "other"]
    assert indexes.serving_id() == "e"
    assert [indexes.of(one).missing(["0", "1"], "pool") for one in ("e", "other")] == [{"1"}, {"0"}]
    indexes.close()


def test_no_folder_is_named_by_what_can_be_no_encoder(tmp_path: Path, database: Database) -> None:
    indexes = Indexes(QdrantEdgeIndexes(tmp_path), ServingStore(database.engine(METADATA)))
    for name in ("", "../elsewhere", "a/b", "x" * 101):
        with pytest.raises(InvalidArgument, match="No encoder has this id"):
            make_handlers(indexes)[topic_of(events_pb2.ImageEmbedded)]([embedded("0", encoder_id=name)])
    assert not list(tmp_path.rglob("space.json"))


def test_the_index_of_a_release_that_knew_one_encoder_goes_on_serving(tmp_path: Path, database: Database) -> None:
    older = QdrantEdgeIndex(tmp_path / "index")
    image = IndexedImage("0", "pool", "ct", "0" * 16, "s", "", "", "sha256:0")
    older.upsert("statistics-1", [image], np.eye(4, dtype=np.float32)[:1])
    older.close()
    indexes = Indexes(QdrantEdgeIndexes(tmp_path), ServingStore(database.engine(METADATA)))
    indexes.put("another-1", [image], np.eye(6, dtype=np.float32)[:1])
    assert indexes.serving_id() == "statistics-1"
    assert indexes.of("statistics-1").count_by_split() == {"pool": 1}
    indexes.close()


def test_a_selection_counts_for_other_operations_of_its_arm_alone(database: Database) -> None:
    store = SelectionStore(database.engine(METADATA))
    for _ in range(2):
        store.record("op-0", "run", "arm", 0, ["a", "b"])
    store.record("op-1", "run", "arm", 1, ["c"])
    assert store.used_by_others("run", "arm", "op-2") == {"a", "b", "c"}
    assert store.used_by_others("run", "arm", "op-1") == {"a", "b"}
    assert store.used_by_others("run", "other", "op-2") == store.used_by_others("else", "arm", "op-2") == set()
