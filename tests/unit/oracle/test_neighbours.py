from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from services.oracle.domain.neighbours import nearest_to_failures
from services.oracle.work.neighbours import Neighbours
from shared.objects.dataset import publish
from shared.objects.folder import FolderObjectStore
from shared.rows.failures import Anchor, PrototypeRow
from shared.rows.selection import Sample
from tests.support.rows import build

CELL = "modality:ct+attribute:noise"


def test_the_nearest_by_cosine_come_first_whatever_their_length() -> None:
    vectors = np.array([[1, 0], [0, 1], [9, 1], [1, 1], [-1, 0]], dtype=np.float32)
    assert nearest_to_failures(vectors, [0], [1, 2, 3, 4]) == ([2, 3, 1], [0])
    assert nearest_to_failures(vectors, [], [1, 2]) == ([], [])


def sample(**said: str) -> Sample:
    return build(Sample, **said)


def image(number: int) -> str:
    return f"{number:064x}"


@pytest.fixture
def objects(tmp_path: Path) -> FolderObjectStore:
    return FolderObjectStore(tmp_path, synced=False)


def selection(objects: FolderObjectStore, *parents: str) -> str:
    return publish(objects, "selection", {"samples.jsonl": []}, counts={}, parents=list(parents), configuration={})


def test_a_sample_is_compared_with_the_failures_that_it_was_drawn_for(objects: FolderObjectStore) -> None:
    anchors = [
        Anchor(image_id=image(0), is_failure=True, capabilities={CELL: 2}),
        Anchor(image_id=image(1), is_failure=True, capabilities={"modality:mri": 1}),
        Anchor(image_id=image(2), is_failure=False, capabilities={}),
        Anchor(image_id=image(3), is_failure=False, capabilities={}),
        Anchor(image_id=image(4), is_failure=None, capabilities={}),
    ]
    vectors = np.array([[1, 0], [0, 1], [1, 9], [9, 1], [1, 0]], dtype=np.float32)
    prototype = PrototypeRow(prototype_id="p000", members=("i",), image_ids=(image(1),), profile={}, size=1)
    mined = publish(
        objects,
        "failures",
        {"anchors.jsonl": anchors, "anchors.npy": vectors, "prototypes.jsonl": [prototype]},
        counts={},
        parents=[],
        configuration={},
    )
    near = Neighbours(objects, selection(objects, mined))
    uris = [f"sha256:{image(number)}" for number in range(5)]
    assert near.of(sample(prototype_id="", capability=CELL)) == ((uris[3], uris[2]), (uris[0],))
    assert near.of(sample(prototype_id="p000", capability=CELL)) == ((uris[2], uris[3]), (uris[1],))
    assert near.of(sample(prototype_id="", capability="")) == ((), ())


def test_a_selection_without_failures_has_no_neighbours(objects: FolderObjectStore) -> None:
    assert Neighbours(objects, selection(objects)).of(sample(prototype_id="", capability=CELL)) == ((), ())
