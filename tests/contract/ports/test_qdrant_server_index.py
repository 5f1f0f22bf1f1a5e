import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr
from qdrant_client import QdrantClient

from services.retrieval.adapters.qdrant_connection import connect
from services.retrieval.adapters.qdrant_server import QdrantServerIndex
from services.retrieval.ports import VectorIndex
from services.retrieval.settings import QdrantSection
from tests.contract.ports.vector_index_suite import VectorIndexSuite
from tests.support.qdrant_recorder import qdrant_recorder
from tests.support.real_servers import run_servers


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant")
@pytest.mark.filterwarnings("ignore:Local mode performs exact")
class TestQdrantServerIndexOnTheClientsOwnEngine(VectorIndexSuite):
    """The same API calls, executed by qdrant-client in this process."""

    @pytest.fixture
    def index(self, tmp_path: Path) -> Iterator[VectorIndex]:
        index = QdrantServerIndex(QdrantClient(":memory:"), QdrantSection())
        yield index
        index.close()


class TestQdrantServerIndexOverTheWire(VectorIndexSuite):
    """gRPC with Qdrant's own protos, answered by brute force."""

    @pytest.fixture
    def index(self, tmp_path: Path) -> Iterator[VectorIndex]:
        with qdrant_recorder() as (address, _):
            settings = QdrantSection(url=f"http://{address}")
            index = QdrantServerIndex(connect(settings), settings)
            yield index
            index.close()


if os.environ.get("MEDQ_TEST_QDRANT") or run_servers("install", "qdrant").returncode == 0:

    class TestQdrantServerIndexOnAServer(VectorIndexSuite):
        """A real server; `MEDQ_TEST_QDRANT_API_KEY` where the one that `MEDQ_TEST_QDRANT` names needs it."""

        @pytest.fixture
        def index(self, tmp_path: Path, qdrant: str) -> Iterator[VectorIndex]:
            key = SecretStr(os.environ.get("MEDQ_TEST_QDRANT_API_KEY", ""))
            settings = QdrantSection(url=qdrant, api_key=key, collection=f"medq-{uuid4().hex}")
            client = connect(settings)
            yield QdrantServerIndex(client, settings)
            client.delete_collection(settings.collection)
            client.close()

else:

    def test_a_qdrant_server_answers_as_the_suite_wants() -> None:
        pytest.skip("no Qdrant server here; set MEDQ_TEST_QDRANT=http://host:6334, or MEDQ_QDRANT_BINARY")
