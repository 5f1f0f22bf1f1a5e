import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from services.retrieval.adapters.qdrant_edge import QdrantEdgeIndex
from services.retrieval.ports import VectorIndex
from shared.errors import Unavailable
from tests.contract.ports.vector_index_suite import VectorIndexSuite, filled

_FILL_AND_DIE = """
import os, pathlib, sys
from services.retrieval.adapters.qdrant_edge import QdrantEdgeIndex
from tests.contract.ports.vector_index_suite import filled
filled(QdrantEdgeIndex(pathlib.Path(sys.argv[1])), 40, 0)
os.kill(os.getpid(), 9)
"""


class TestQdrantEdgeIndex(VectorIndexSuite):
    @pytest.fixture
    def index(self, tmp_path: Path) -> Iterator[VectorIndex]:
        index = QdrantEdgeIndex(tmp_path / "index")
        yield index
        index.close()

    def test_a_closed_index_opens_with_what_it_held(self, tmp_path: Path) -> None:
        index = QdrantEdgeIndex(tmp_path / "again")
        _, vectors = filled(index, 40, 0)
        found = index.find_near(vectors[:2], 0.5, "pool")
        index.close()
        again = QdrantEdgeIndex(tmp_path / "again")
        assert again.find_near(vectors[:2], 0.5, "pool") == found
        again.close()

    def test_a_killed_process_loses_no_upsert(self, tmp_path: Path) -> None:
        folder = tmp_path / "killed"
        done = subprocess.run([sys.executable, "-c", _FILL_AND_DIE, str(folder)], check=False)
        assert done.returncode == -9
        index = QdrantEdgeIndex(folder)
        assert index.count_by_split() == {"pool": 40}
        assert len(index.find_near(np.eye(24, dtype=np.float32)[:1], -1.0, "pool")) == 40
        index.close()

    def test_a_disk_that_is_nearly_full_is_told_before_the_kernel_ends_the_process(self, tmp_path: Path) -> None:
        index = QdrantEdgeIndex(tmp_path / "full", least_free_bytes=1 << 60)
        with pytest.raises(Unavailable, match="The disk of the index has less than"):
            filled(index, 40, 0)
        filled(QdrantEdgeIndex(tmp_path / "full"), 40, 0)  # there is space again
