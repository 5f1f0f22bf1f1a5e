"""What a Qdrant server is asked, on the wire, and what is made of its refusals."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from pydantic import ValidationError
from qdrant_client import grpc as qdrant

from services.retrieval.adapters.qdrant_connection import connect
from services.retrieval.adapters.qdrant_server import QdrantServerIndex, QdrantServerIndexes
from services.retrieval.main import open_indexes
from services.retrieval.settings import QdrantSection, RetrievalSettings
from shared.errors import FailedPrecondition, InvalidArgument, MedqError, PermissionDenied, Unavailable
from tests.contract.ports.vector_index_suite import ENCODER, filled
from tests.support.certificates import Authority
from tests.support.qdrant_recorder import Calls, qdrant_recorder
from tests.support.tcp_proxy import tcp_proxy


@pytest.fixture
def recorder() -> Iterator[tuple[str, Calls]]:
    with qdrant_recorder() as recorder:
        yield recorder


def opened(address: str, **settings: object) -> QdrantServerIndex:
    section = QdrantSection.model_validate({"url": f"http://{address}", **settings})
    return QdrantServerIndex(connect(section), section)


def test_the_collection_and_its_payload_indexes_are_there_before_the_first_point(recorder: tuple[str, Calls]) -> None:
    address, calls = recorder
    index = opened(address, collection="pool", shards=3, replication=3, write_consistency=2, are_vectors_on_disk=True)
    filled(index, 5, 0)
    writes = [name for name in calls.names() if name.rpartition("/")[2] in {"Create", "CreateFieldIndex", "Upsert"}]
    assert writes == ["Collections/Create", "Points/CreateFieldIndex", "Points/CreateFieldIndex", "Points/Upsert"]
    (made,) = calls.of("Collections/Create")
    assert (made.collection_name, made.shard_number, made.replication_factor) == ("pool", 3, 3)
    assert made.write_consistency_factor == 2
    assert made.vectors_config.params.size == 24
    assert made.vectors_config.params.distance == qdrant.Dot
    assert made.vectors_config.params.on_disk
    assert made.quantization_config.scalar.type == qdrant.Int8
    assert made.quantization_config.scalar.always_ram
    indexes = calls.of("Points/CreateFieldIndex")
    assert {(one.field_name, one.field_type, one.wait) for one in indexes} == {
        ("split", qdrant.FieldTypeKeyword, True),
        ("modality", qdrant.FieldTypeKeyword, True),
    }
    index.close()


def test_what_more_than_half_of_the_replicas_wrote_is_what_more_than_half_are_asked_for(
    recorder: tuple[str, Calls],
) -> None:
    address, calls = recorder
    index = opened(address, replication=3, is_quantized=False)
    _, vectors = filled(index, 5, 0)
    index.search(vectors[0], 1)
    (made,) = calls.of("Collections/Create")
    assert made.write_consistency_factor == 2
    assert not made.HasField("quantization_config")
    (asked,) = calls.of("Points/Query")
    assert asked.read_consistency.type == qdrant.Quorum
    assert calls.of("Points/Upsert")[0].ordering.type == qdrant.Medium
    index.close()


def test_more_writes_than_replicas_is_a_wrong_setting() -> None:
    with pytest.raises(ValidationError, match="more than there are replicas"):
        QdrantSection(replication=2, write_consistency=3)


def test_a_second_process_makes_nothing_but_the_payload_indexes(recorder: tuple[str, Calls]) -> None:
    address, calls = recorder
    first, second = opened(address), opened(address)
    filled(first, 3, 0)
    images, vectors = filled(second, 3, 0)
    assert len(calls.of("Collections/Create")) == 1
    assert len(calls.of("Points/CreateFieldIndex")) == 4
    with pytest.raises(FailedPrecondition, match="another encoder"):
        second.upsert("encoder-2", images, vectors)
    first.close()
    second.close()


def test_processes_that_make_the_collection_at_once_agree(recorder: tuple[str, Calls]) -> None:
    address, _ = recorder
    indexes = [opened(address) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda index: filled(index, 3, 0), indexes))
    assert [index.count_by_split() for index in indexes] == [{"pool": 3}] * 4
    for index in indexes:
        index.close()


def test_upserts_are_waited_for_and_cut_into_batches(recorder: tuple[str, Calls]) -> None:
    address, calls = recorder
    index = opened(address)
    filled(index, 1201, 0, d=8)
    upserts = calls.of("Points/Upsert")
    assert [len(one.points) for one in upserts] == [500, 500, 201]
    assert all(one.wait for one in upserts)
    index.close()


def test_eq_2_is_asked_exactly_in_one_batch_and_a_full_answer_again(recorder: tuple[str, Calls]) -> None:
    address, calls = recorder
    index = opened(address)
    _, vectors = filled(index, 1500, 0, d=8)
    near = np.eye(8, dtype=np.float32)[:1]
    found = index.find_near(np.concatenate([near, vectors[:3], -vectors[:1]]), -1.0, "pool")
    assert len(found) == 1500
    first, second = calls.of("Points/QueryBatch")
    assert [query.limit for query in first.query_points] == [1024] * 5
    assert [query.limit for query in second.query_points] == [8192] * 5
    for query in (*first.query_points, *second.query_points):
        assert query.params.exact
        assert query.params.quantization.ignore
        assert [one.field.key for one in query.filter.must] == ["split"]
        assert list(query.with_payload.include.fields) == ["image_id"]
    index.close()


def test_a_person_looks_around_by_the_graph_with_filters_and_exact_scores(recorder: tuple[str, Calls]) -> None:
    address, calls = recorder
    index = opened(address)
    _, vectors = filled(index, 9, 0)
    index.search(vectors[0], 4, modality="ct", split="pool")
    (asked,) = calls.of("Points/Query")
    assert not asked.params.exact
    assert asked.params.hnsw_ef >= 100
    assert asked.params.quantization.rescore
    assert {one.field.key: one.field.match.keyword for one in asked.filter.must} == {"split": "pool", "modality": "ct"}
    assert asked.limit == 4
    index.close()


def test_optimize_waits_for_green_and_wakes_a_grey_collection(recorder: tuple[str, Calls]) -> None:
    address, calls = recorder
    index = opened(address)
    filled(index, 3, 0)
    calls.statuses[:] = [qdrant.Grey, qdrant.Yellow, qdrant.Green]
    index.optimize()
    assert calls.statuses == [qdrant.Green]
    assert len(calls.of("Collections/Update")) == 1
    index.close()


@pytest.mark.parametrize(("status", "word"), [(qdrant.Red, "red"), (qdrant.Yellow, "yellow")])
def test_a_collection_that_does_not_become_green_is_unavailable(
    recorder: tuple[str, Calls], status: int, word: str
) -> None:
    address, calls = recorder
    index = opened(address, green_seconds=0.01)
    filled(index, 3, 0)
    calls.statuses[:] = [status]
    with pytest.raises(Unavailable, match=f"{word}, not green"):
        index.optimize()
    index.close()


def test_every_call_carries_the_api_key(recorder: tuple[str, Calls]) -> None:
    address, calls = recorder
    index = opened(address, api_key="the-key")
    _, vectors = filled(index, 3, 0)
    index.find_near(vectors[:1], 0.5, "pool")
    index.count_by_split()
    index.missing(["a"], "pool")
    assert {metadata.get("api-key") for _, _, metadata in calls.made} == {"the-key"}
    index.close()


def test_a_call_that_meets_a_restart_is_made_again(recorder: tuple[str, Calls]) -> None:
    address, calls = recorder
    index = opened(address)
    calls.failures["Points/Upsert"] = [grpc.StatusCode.UNAVAILABLE] * 2
    filled(index, 3, 0)
    assert len(calls.of("Points/Upsert")) == 3
    assert index.count_by_split() == {"pool": 3}
    index.close()


@pytest.mark.parametrize(
    ("code", "expected", "words"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, PermissionDenied, r"index\.api_key"),
        (grpc.StatusCode.PERMISSION_DENIED, PermissionDenied, r"index\.api_key"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Unavailable, "out of resources"),
        (grpc.StatusCode.NOT_FOUND, FailedPrecondition, r"index\.collection"),
        (grpc.StatusCode.INTERNAL, Unavailable, "log of the Qdrant server"),
    ],
)
def test_what_the_server_refuses_is_told_in_our_terms(
    recorder: tuple[str, Calls], code: grpc.StatusCode, expected: type[MedqError], words: str
) -> None:
    address, calls = recorder
    index = opened(address, api_key="the-key")
    calls.failures["Points/Upsert"] = [code]
    with pytest.raises(expected, match=words) as refused:
        filled(index, 3, 0)
    assert "the-key" not in str(refused.value)
    assert "on purpose" not in str(refused.value)
    index.close()


def test_a_server_that_nobody_runs_is_unavailable_within_the_deadline() -> None:
    with qdrant_recorder() as (address, _):
        pass
    index = opened(address, timeout_seconds=1)
    with pytest.raises(Unavailable, match=rf"index\.url='http://{address}'"):
        index.count_by_split()
    index.close()


def test_a_silent_server_is_given_up_at_the_deadline(recorder: tuple[str, Calls]) -> None:
    address, _ = recorder
    with tcp_proxy(address) as proxy:
        proxy.hold_after(0)
        index = opened(proxy.address, timeout_seconds=1)
        with pytest.raises(Unavailable, match="does not answer in time"):
            index.count_by_split()
        index.close()


def test_a_collection_of_something_else_is_refused(recorder: tuple[str, Calls]) -> None:
    address, calls = recorder
    other = connect(QdrantSection(url=f"http://{address}"))
    other.create_collection("medq", {})
    index = opened(address)
    with pytest.raises(FailedPrecondition, match="not made by this service"):
        filled(index, 3, 0)
    assert calls.of("Points/Upsert") == []
    index.close()
    other.close()


@pytest.mark.parametrize("url", ["qdrant:6334", "grpc://qdrant:6334", "http://qdrant:6334/prefix", "http://"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument, match=r"index\.url"):
        connect(QdrantSection(url=url))


def test_tls_trusts_the_authority_of_the_settings(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = (path.read_bytes() for path in authority.issue("qdrant"))
    with qdrant_recorder(credentials=grpc.ssl_server_credentials([(key, certificate)])) as (address, _):
        trusting = opened("", url=f"https://{address}", ca_file=authority.ca_file)
        filled(trusting, 3, 0)
        assert trusting.count_by_split() == {"pool": 3}
        trusting.close()
        wary = opened("", url=f"https://{address}", timeout_seconds=1)
        with pytest.raises(Unavailable):
            wary.count_by_split()
        wary.close()


def test_a_url_in_the_environment_chooses_the_server(
    recorder: tuple[str, Calls], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address, calls = recorder
    monkeypatch.setenv("MEDQ_RETRIEVAL_INDEX__URL", f"http://{address}")
    indexes = open_indexes(RetrievalSettings(state_folder=tmp_path))
    filled(indexes.open(ENCODER), 3, 0)
    assert "Points/Upsert" in calls.names()
    assert list(tmp_path.iterdir()) == []
    indexes.close()


def test_each_encoder_has_a_collection_and_that_of_an_older_release_stays(recorder: tuple[str, Calls]) -> None:
    address, calls = recorder
    section = QdrantSection(url=f"http://{address}", collection="pool")
    images, vectors = filled(opened(address, collection="pool"), 5, 0)  # as a release that knew one encoder made it
    filled(opened(address, collection="pool-of-somebody-else"), 5, 0)
    indexes = QdrantServerIndexes(connect(section), section)
    assert indexes.encoder_ids() == [ENCODER]
    indexes.open("another-1").upsert("another-1", images[:2], vectors[:2])
    assert indexes.encoder_ids() == ["another-1", ENCODER]
    made = [one.collection_name for one in calls.of("Collections/Create")]
    assert made == ["pool", "pool-of-somebody-else", "pool-another-1"]
    assert [indexes.open(one).count_by_split()["pool"] for one in (ENCODER, "another-1")] == [5, 2]
    indexes.close()
