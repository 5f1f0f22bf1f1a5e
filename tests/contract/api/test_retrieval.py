"""The real retrieval server on a unix socket, called by its generated stub."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from medq.embedding.v1 import events_pb2
from medq.retrieval.v1 import retrieval_pb2 as pb
from medq.retrieval.v1 import retrieval_pb2_grpc as pb_grpc
from services.retrieval.domain.leakage import LeakReason
from services.retrieval.main import build
from services.retrieval.service import MOST_IDS
from services.retrieval.settings import RetrievalSettings
from shared.errors import FailedPrecondition, InvalidArgument, MedqError, NotFound
from shared.events.bus import Event, topic_of
from shared.events.sqlite import SqliteEventBus
from shared.objects.dataset import publish, read_object, read_rows
from shared.objects.folder import FolderObjectStore
from shared.rows.failures import Anchor, CapabilityErrorRate, PrototypeRow
from shared.rows.images import Image
from shared.rows.selection import Sample, Selection
from shared.rpc.channels import Channels
from shared.rpc.operations import await_operation
from shared.status import from_rpc_error
from tests.support.databases import Database
from tests.support.rows import build as row
from tests.support.servers import running, short_folder

D = 16


@dataclass
class Server:
    stub: pb_grpc.RetrievalServiceStub
    channel: grpc.Channel
    bus: SqliteEventBus
    objects: FolderObjectStore
    folder: Path

    def image_set(
        self, ids: Sequence[int], split: str = "pool", near: Sequence[int] = (), encoder: str = "e", **fields: str
    ) -> str:
        """Images with the given numbers; those of `near` look along axis 0, the others along axis 1."""
        said = {"patient": "", "session": "", "split": split}
        rows = []
        for i in sorted(ids):
            own = {"image_id": f"{i:064x}", "image_uri": f"sha256:{i:064x}", "source_id": f"s{i}"}
            phash = f"{(i * 0x9E3779B97F4A7C15) % 2**64:016x}"
            rows.append(row(Image, **{**own, **said, "phash": phash, **fields}))
        vectors = np.stack([vector_of(i, 0 if i in near else 1) for i in sorted(ids)])
        return self.dataset("image-set", {"images.jsonl": rows, "vectors.npy": vectors}, {"encoder_id": encoder})

    def index(self, uri: str) -> None:
        """Put an image set into the index of its encoder."""
        operation_id = f"index/{uri.removeprefix('sha256:')}"
        self.stub.StartIndexImages(pb.StartIndexImagesRequest(operation_id=operation_id, image_set_uri=uri))
        await_operation(self.channel, operation_id)

    def failures(self, failed: Sequence[int] = (), never_failed: Sequence[int] = (), encoder: str = "e") -> str:
        """Two prototypes, along axes 0 and 1; dev images that failed (noise) look along axis 0, the others along axis 1."""
        rates = {"attribute:noise": 0.9, "attribute:motion": 0.1}
        images = [*failed, *never_failed]
        vectors = [vector_of(1000 + i, int(i in never_failed)) for i in images]
        files = {
            "anchors.jsonl": [
                row(
                    Anchor,
                    image_id=f"{1000 + i:064x}",
                    is_failure=i in failed,
                    capabilities={"attribute:noise": 1} if i in failed else {},
                )
                for i in images
            ],
            "anchors.npy": np.array(vectors, dtype=np.float32).reshape(-1, D),
            "prototypes.jsonl": [
                row(PrototypeRow, prototype_id=f"p{j}", profile={capability: 1.0}) for j, capability in enumerate(rates)
            ],
            "capabilities.jsonl": [
                row(CapabilityErrorRate, capability=capability, error_rate=rate) for capability, rate in rates.items()
            ],
            "prototypes.npy": np.eye(D, dtype=np.float32)[:2],
        }
        return self.dataset("failures", files, {"encoder_id": encoder} if encoder else {})

    def dataset(self, kind: str, files: dict[str, Any], configuration: dict[str, Any]) -> str:
        return publish(self.objects, kind, files, counts={}, parents=[], configuration=configuration)

    def select(self, operation_id: str = "select", **changed: Any) -> tuple[list[Sample], Selection]:
        self.stub.StartSelectSamples(self.request(operation_id, **changed))
        uri = await_operation(self.channel, operation_id).result_uri
        return read_rows(self.objects, uri, Sample), read_object(self.objects, uri, Selection)

    def request(self, operation_id: str = "select", **changed: Any) -> pb.StartSelectSamplesRequest:
        fields: dict[str, Any] = {
            "operation_id": operation_id, "run_id": "run", "arm": "medq", "round": 0, "failures_uri": self.failures(),
            "budget": 5, "tau_sim": 0.75, "alpha": 1.0, "strategy": pb.STRATEGY_FAILURE_DRIVEN, "seed": 3,
            "phash_distance": 2, "neighbours": 5,
        }  # fmt: skip
        return pb.StartSelectSamplesRequest(**{**fields, **changed})


def vector_of(i: int, axis: int) -> NDArray[np.float32]:
    """A unit vector within 0.2 of an axis."""
    vector = 0.03 * np.random.default_rng(i).standard_normal(D)
    vector[axis] += 1.0
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@pytest.fixture
def server() -> Iterator[Server]:
    with short_folder() as folder:
        settings = RetrievalSettings(state_folder=folder, listen=f"unix:{folder}/r.sock", batch_size=8)
        bus, objects = (SqliteEventBus(folder / "events.sqlite"), FolderObjectStore(folder / "objects", synced=False))
        with Channels({}) as channels:
            service = build(settings, channels, bus, objects)
            with running(service, bus, settings) as channel:
                yield Server(pb_grpc.RetrievalServiceStub(channel), channel, bus, objects, folder)
        bus.close()


def refused(call: Any, request: Any) -> MedqError:
    with pytest.raises(grpc.RpcError) as caught:
        call(request)
    return from_rpc_error(caught.value)


def ids(samples: Sequence[Sample]) -> list[int]:
    return [int(sample.image_id, 16) for sample in samples]


def test_indexing_an_image_set_twice_holds_each_image_once(server: Server) -> None:
    uri = server.image_set(range(20))
    for operation_id in ("one", "two"):
        server.stub.StartIndexImages(pb.StartIndexImagesRequest(operation_id=operation_id, image_set_uri=uri))
        assert await_operation(server.channel, operation_id).result_uri == uri
    pool = server.stub.GetPool(pb.GetPoolRequest())
    assert (pool.n_images, dict(pool.n_by_split)) == (20, {"pool": 20})


def test_an_embedded_image_is_indexed_by_its_event(server: Server) -> None:
    vector = vector_of(1, 0)
    message = events_pb2.ImageEmbedded(
        image_id=f"{1:064x}", split="pool", encoder_id="e", vector=vector.tobytes(), modality="mri", phash="0" * 16
    )
    event = Event(
        "1",
        topic_of(events_pb2.ImageEmbedded),
        "test",
        message.image_id,
        message.SerializeToString(),
        datetime.now(UTC),
    )
    server.bus.publish([event])
    pause, deadline = threading.Event(), time.monotonic() + 20
    while not server.stub.GetPool(pb.GetPoolRequest()).n_images and time.monotonic() < deadline:
        pause.wait(0.02)
    found = server.stub.SearchSimilar(pb.SearchSimilarRequest(vector=vector.tolist(), limit=3, modality="mri"))
    assert [image.image_id for image in found.images] == [message.image_id]
    assert found.images[0].similarity == pytest.approx(1.0, abs=1e-5)


def test_the_draw_takes_what_prototypes_found_and_prefers_what_fails(server: Server) -> None:
    pool = server.image_set(range(100), near=range(50))
    samples, selection = server.select(pool_uris=[pool], budget=20)
    assert (selection.selected, selection.reason) == (20, "")
    assert ids(samples) == sorted(ids(samples))
    noise = [sample for sample in samples if sample.capability == "attribute:noise"]
    assert len(noise) >= 14  # 0.9 of 20 expected
    assert {sample.prototype_id for sample in noise} == {"p0"}
    assert set(ids(noise)) <= set(range(50))
    assert all(sample.similarity > 0.75 for sample in samples)


def test_contrast_draws_what_looks_like_failures_and_unlike_successes(server: Server) -> None:
    pool = server.image_set(range(100), near=range(30))
    failures = server.failures(failed=range(8), never_failed=range(8, 40))
    asked = {"pool_uris": [pool], "failures_uri": failures, "strategy": pb.STRATEGY_FAILURE_CONTRAST}
    samples, selection = server.select(**asked, budget=20)
    assert set(ids(samples)) <= set(range(30))
    assert (selection.strategy, selection.selected, selection.reason, selection.fallback) == (
        "failure_contrast",
        20,
        "",
        "",
    )
    assert {(sample.capability, sample.prototype_id, sample.similarity) for sample in samples} == {
        ("attribute:noise", "", None)
    }
    assert all(sample.contrast > 0.5 for sample in samples)
    assert selection.excluded["no_contrast"] == 70
    assert [(row.name, row.n_found, row.n_drawn) for row in selection.found] == [("attribute:noise", 30, 20)]
    everything, all_found = server.select("all", **asked, budget=50, arm="other")
    assert ids(everything) == list(range(30))
    assert all_found.reason.startswith("30 of 50")
    best = sorted(everything, key=lambda sample: (-sample.contrast, sample.image_id))[:20]
    assert sorted(ids(best)) == ids(samples)


def test_with_too_few_successes_the_draw_is_failure_driven_and_says_so(server: Server) -> None:
    pool = server.image_set(range(40), near=range(20))
    failures = server.failures(failed=range(8), never_failed=range(8, 12))
    asked = {"pool_uris": [pool], "failures_uri": failures, "budget": 10}
    contrast = {**asked, "strategy": pb.STRATEGY_FAILURE_CONTRAST}
    samples, selection = server.select(**contrast)
    assert "needs 5 dev images that failed and 5 that never failed; there are 8 and 4" in selection.fallback
    assert selection.strategy == "failure_contrast"
    driven, other = server.select("driven", **asked, run_id="another")
    assert samples == driven
    assert other.fallback == ""
    assert server.select("fewer", **contrast, neighbours=4, run_id="third")[1].fallback == ""


def test_failures_of_an_older_release_have_no_contrast(server: Server) -> None:
    pool = server.image_set(range(20), near=range(20))
    files = {
        "prototypes.jsonl": [row(PrototypeRow)],
        "capabilities.jsonl": [row(CapabilityErrorRate)],
        "prototypes.npy": np.eye(D, dtype=np.float32)[:1],
    }
    failures = server.dataset("failures", files, {})
    strategy = pb.STRATEGY_FAILURE_CONTRAST
    _, selection = server.select(pool_uris=[pool], failures_uri=failures, strategy=strategy)
    assert "there are 0 and 0" in selection.fallback


def test_a_share_of_the_pool_sets_the_threshold(server: Server) -> None:
    pool = server.image_set(range(100), near=range(50))
    samples, selection = server.select(pool_uris=[pool], budget=100, tau_pool_share=0.07)
    assert selection.selected == 7
    assert selection.excluded["not_similar"] == 93
    assert all(sample.similarity > selection.tau_sim for sample in samples)
    assert sum(row.n_found for row in selection.found) == sum(row.n_drawn for row in selection.found) == 7
    again, whole = server.select("tau", pool_uris=[pool], budget=100, tau_sim=selection.tau_sim, arm="other")
    assert ids(again) == ids(samples)
    assert whole.tau_sim == selection.tau_sim
    assert server.select("random", pool_uris=[pool], strategy=pb.STRATEGY_RANDOM, arm="third")[1].tau_sim is None


def test_vectors_of_another_dimension_end_the_operation(server: Server) -> None:
    pool = server.image_set(range(9))
    failures = server.failures(failed=range(8), never_failed=range(8, 40))
    other = server.dataset(
        "image-set", {"images.jsonl": [row(Image, split="pool")], "vectors.npy": np.ones((1, 2), np.float32)}, {}
    )
    asked = {"failures_uri": failures, "strategy": pb.STRATEGY_FAILURE_CONTRAST}
    with pytest.raises(InvalidArgument, match="different dimensions"):
        server.select(pool_uris=[pool, other], **asked)


def test_an_arm_never_selects_an_image_twice_and_another_arm_may(server: Server) -> None:
    pool = server.image_set(range(30), near=range(30))
    first, _ = server.select("r0", pool_uris=[pool], budget=20)
    second, selection = server.select("r1", pool_uris=[pool], budget=20, round=1)
    assert set(ids(first)).isdisjoint(ids(second))
    assert selection.selected == 10
    assert selection.reason.startswith("10 of 20")
    assert selection.excluded["used_before"] == 20
    other, _ = server.select("other", pool_uris=[pool], budget=20, arm="other")
    assert len(other) == 20


def test_images_that_touch_dev_or_test_are_not_drawn(server: Server) -> None:
    pool = server.image_set(range(10), near=range(10))
    twin = server.image_set([50], near=[50], phash=f"{(3 * 0x9E3779B97F4A7C15) % 2**64 ^ 1:016x}")
    known = server.image_set([60, 61], near=[60, 61], patient="patient-hash")
    dev = server.image_set([0, 1, 99], split="dev", patient="patient-hash")
    guards = [dev, server.image_set([3], split="test")]
    samples, selection = server.select(pool_uris=[pool, twin, known], guard_uris=guards, budget=50)
    assert ids(samples) == [2, 4, 5, 6, 7, 8, 9]
    reasons = {"leak_same_pixels": 3, "leak_perceptual_hash": 1, "leak_patient": 2}
    assert selection.excluded == {**reasons, "used_before": 0, "not_similar": 0}
    leaks = server.stub.CheckLeakage(
        pb.CheckLeakageRequest(image_set_uris=[pool, twin, known], guard_uris=guards, phash_distance=2)
    ).leaks
    assert [(int(leak.image_id, 16), leak.reason) for leak in leaks] == [
        (0, "same_pixels"), (1, "same_pixels"), (3, "same_pixels"), (50, "perceptual_hash"), (60, "patient"), (61, "patient"),
    ]  # fmt: skip


def test_an_image_that_two_sets_describe_leaks_if_either_does(server: Server) -> None:
    sets = [server.image_set([1, 2], near=[1, 2]), server.image_set([2], near=[2], patient="known")]
    dev = server.image_set([9], split="dev", patient="known")
    samples, selection = server.select(pool_uris=sets, guard_uris=[dev], budget=9)
    assert ids(samples) == [1]
    assert selection.excluded["leak_patient"] == 1
    for order in (sets, sets[::-1]):
        request = pb.CheckLeakageRequest(image_set_uris=order, guard_uris=[dev], phash_distance=2)
        assert [int(leak.image_id, 16) for leak in server.stub.CheckLeakage(request).leaks] == [2]


def test_an_answer_about_as_many_images_as_may_be_asked_for_fits_into_a_message() -> None:
    leak = pb.Leak(image_id="f" * 64, reason=max(LeakReason, key=len), guard_image_id="f" * 64)
    assert pb.CheckLeakageResponse(leaks=[leak] * MOST_IDS).ByteSize() < 4 * 2**20


def test_only_images_of_the_named_sets_and_of_the_pool_split_are_drawn(server: Server) -> None:
    other = server.image_set(range(20, 40), near=range(20, 40))
    server.select("other", pool_uris=[other])
    mixed = [server.image_set(range(5), near=range(5)), server.image_set(range(5, 9), "replay", near=range(5, 9))]
    samples, _ = server.select("mine", pool_uris=mixed, budget=50, run_id="another")
    assert ids(samples) == list(range(5))


def test_a_random_draw_needs_no_failures_and_names_no_capability(server: Server) -> None:
    pool = server.image_set(range(40))
    samples, selection = server.select(pool_uris=[pool], strategy=pb.STRATEGY_RANDOM, failures_uri="", budget=7)
    assert len(samples) == 7
    assert selection.strategy == "random"
    assert {(s.prototype_id, s.similarity, s.capability) for s in samples} == {("", None, "")}


def test_doing_a_selection_again_gives_the_same_and_takes_nothing_more(server: Server, database: Database) -> None:
    """A restart runs the function from its beginning: here it is run again by hand, on the same tables."""
    from services.retrieval.adapters.qdrant_edge import QdrantEdgeIndexes
    from services.retrieval.operations import RetrievalOperations
    from services.retrieval.store import METADATA, SelectionStore, ServingStore
    from services.retrieval.work.indexes import Indexes

    pool = server.image_set(range(30), near=range(30))
    engine = database.engine(METADATA)
    store, indexes = SelectionStore(engine), Indexes(QdrantEdgeIndexes(server.folder / "again"), ServingStore(engine))
    select = RetrievalOperations(indexes, server.objects, store, 8).select_samples
    request = server.request(pool_uris=[pool], budget=10)
    first = select(Unhurried(), request)
    assert select(Unhurried(), request) == first
    assert len(store.used_by_others("run", "medq", "next")) == 10
    indexes.close()


class Unhurried:
    """An operation's context that nobody calls off."""

    def progress(self, done: int, total: int, unit: str, message: str = "") -> None:
        pass


def test_a_run_repeated_under_another_name_selects_the_same_dataset(server: Server) -> None:
    pool = server.image_set(range(20), near=range(20))
    uris = []
    for run_id in ("one", "two"):
        server.stub.StartSelectSamples(server.request(run_id, run_id=run_id, pool_uris=[pool]))
        uris.append(await_operation(server.channel, run_id).result_uri)
    assert uris[0] == uris[1]


def test_an_empty_pool_is_a_failed_precondition_with_a_remedy(server: Server) -> None:
    dev = server.image_set(range(3), split="dev")
    with pytest.raises(FailedPrecondition) as caught:
        server.select(pool_uris=[dev])
    assert "Ingest images" in caught.value.remedy


def test_a_dataset_of_another_kind_ends_the_operation(server: Server) -> None:
    pool = server.image_set(range(3))
    with pytest.raises(InvalidArgument, match="failures"):
        server.select(pool_uris=[pool], failures_uri=pool)
    with pytest.raises(NotFound):
        server.select("missing", pool_uris=["sha256:" + "0" * 64])


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"run_id": ""}, "run_id"),
        ({"arm": ""}, "arm"),
        ({"strategy": 0}, "strategy"),
        ({"failures_uri": ""}, "failures_uri"),
        ({"budget": 0}, "budget"),
        ({"tau_sim": 1.0}, "tau_sim"),
        ({"tau_sim": float("nan")}, "tau_sim"),
        ({"tau_pool_share": 1.5}, "tau_pool_share"),
        ({"tau_pool_share": float("nan")}, "tau_pool_share"),
        ({"strategy": pb.STRATEGY_FAILURE_CONTRAST, "neighbours": 0}, "neighbours"),
        ({"alpha": -1.0}, "alpha"),
        ({"phash_distance": 17}, "phash_distance"),
        ({"guard_uris": ["dev"]}, "guard_uris"),
        ({"pool_uris": []}, "pool_uris"),
    ],
)
def test_a_wrong_selection_is_refused_with_its_field(server: Server, changed: dict[str, Any], field: str) -> None:
    request = server.request(**{"pool_uris": ["sha256:" + "0" * 64], **changed})
    error = refused(server.stub.StartSelectSamples, request)
    assert isinstance(error, InvalidArgument)
    assert (error.field, bool(error.remedy)) == (field, True)


def test_wrong_searches_and_checks_are_refused(server: Server) -> None:
    uri = server.image_set(range(3))
    assert refused(server.stub.SearchSimilar, pb.SearchSimilarRequest(vector=[1.0] * D, limit=5)).field == "vector"
    unit = vector_of(0, 0).tolist()
    assert refused(server.stub.SearchSimilar, pb.SearchSimilarRequest(vector=unit, limit=0)).field == "limit"
    assert refused(server.stub.CheckLeakage, pb.CheckLeakageRequest()).field == "image_set_uris"
    unknown = pb.CheckLeakageRequest(image_set_uris=[uri], image_ids=["x"])
    assert isinstance(refused(server.stub.CheckLeakage, unknown), NotFound)
    many = [f"{i:064x}" for i in range(MOST_IDS + 1)]
    too_many = pb.CheckLeakageRequest(image_set_uris=[uri], image_ids=many)
    assert refused(server.stub.CheckLeakage, too_many).field == "image_ids"
    index = pb.StartIndexImagesRequest(operation_id="x", image_set_uri="pool")
    assert refused(server.stub.StartIndexImages, index).field == "image_set_uri"


@pytest.mark.parametrize("field", ["image_set_uris", "guard_uris"])
def test_a_set_that_is_named_twice_is_refused(server: Server, field: str) -> None:
    uri = server.image_set([1, 2])
    named = {"image_set_uris": [uri], "guard_uris": [uri]}
    for uris in ([uri, uri], [uri] * 1000):
        assert refused(server.stub.CheckLeakage, pb.CheckLeakageRequest(**named | {field: uris})).field == field


def test_a_selection_does_not_hold_paths_or_times(server: Server) -> None:
    samples, selection = server.select(pool_uris=[server.image_set(range(9), near=range(9))])
    assert str(server.folder) not in str([samples, selection])


def nearest(server: Server, encoder_id: str = "") -> pb.SearchSimilarResponse:
    vector = vector_of(0, 0).tolist()
    return server.stub.SearchSimilar(pb.SearchSimilarRequest(vector=vector, limit=20, encoder_id=encoder_id))


def test_a_pool_embedded_anew_serves_from_the_switch_on_and_not_before(server: Server) -> None:
    server.index(server.image_set(range(10), encoder="old-1"))
    old = nearest(server)
    assert (old.encoder_id, len(old.images)) == ("old-1", 10)
    server.index(server.image_set(range(10, 16), encoder="new-1"))  # a part of it
    assert nearest(server) == old
    assert nearest(server, "old-1") == old
    wrong = refused(
        server.stub.SearchSimilar, pb.SearchSimilarRequest(vector=vector_of(0, 0), limit=1, encoder_id="new-1")
    )
    assert isinstance(wrong, FailedPrecondition)
    assert "old-1" in wrong.remedy
    early = refused(server.stub.SwitchEncoder, pb.SwitchEncoderRequest(encoder_id="new-1"))
    assert "6 of 10 images of the split pool" in early.message
    server.index(server.image_set(range(10, 20), near=range(10, 20), encoder="new-1"))
    pool = server.stub.GetPool(pb.GetPoolRequest(encoder_id="new-1"))
    assert (pool.n_images, pool.serving_encoder_id, list(pool.encoder_ids)) == (10, "old-1", ["new-1", "old-1"])
    assert nearest(server) == old
    assert server.stub.SwitchEncoder(pb.SwitchEncoderRequest(encoder_id="new-1")).previous_encoder_id == "old-1"
    new = nearest(server)
    assert new.encoder_id == "new-1"
    assert {int(image.image_id, 16) for image in new.images} == set(range(10, 20))
    assert isinstance(
        refused(
            server.stub.SearchSimilar, pb.SearchSimilarRequest(vector=vector_of(0, 0), limit=1, encoder_id="old-1")
        ),
        FailedPrecondition,
    )
    assert server.stub.SwitchEncoder(pb.SwitchEncoderRequest(encoder_id="new-1")).previous_encoder_id == "new-1"


def test_no_search_sees_two_encoders_while_somebody_switches(server: Server) -> None:
    server.index(server.image_set(range(10), encoder="old-1"))
    server.index(server.image_set(range(10, 20), encoder="new-1"))
    of_encoder = {"old-1": set(range(10)), "new-1": set(range(10, 20))}
    with ThreadPoolExecutor(3) as threads:
        searches = [threads.submit(lambda: [nearest(server) for _ in range(40)]) for _ in range(2)]
        for turn in range(20):
            server.stub.SwitchEncoder(pb.SwitchEncoderRequest(encoder_id=("new-1", "old-1")[turn % 2]))
        answers = [answer for search in searches for answer in search.result()]
    for answer in answers:
        assert {int(image.image_id, 16) for image in answer.images} == of_encoder[answer.encoder_id]


def test_an_encoder_without_an_index_cannot_serve(server: Server) -> None:
    error = refused(server.stub.SwitchEncoder, pb.SwitchEncoderRequest(encoder_id="new-1"))
    assert isinstance(error, NotFound)
    assert isinstance(refused(server.stub.GetPool, pb.GetPoolRequest(encoder_id="new-1")), NotFound)
    assert server.stub.GetPool(pb.GetPoolRequest()) == pb.GetPoolResponse()


def test_a_smaller_index_serves_only_where_that_is_allowed(server: Server) -> None:
    server.index(server.image_set(range(10), encoder="old-1"))
    server.index(server.image_set(range(5), encoder="new-1"))
    assert isinstance(
        refused(server.stub.SwitchEncoder, pb.SwitchEncoderRequest(encoder_id="new-1")), FailedPrecondition
    )
    server.stub.SwitchEncoder(pb.SwitchEncoderRequest(encoder_id="new-1", is_smaller_allowed=True))
    assert nearest(server).encoder_id == "new-1"


@pytest.mark.parametrize("strategy", [pb.STRATEGY_FAILURE_DRIVEN, pb.STRATEGY_FAILURE_CONTRAST])
def test_failures_and_pool_of_two_encoders_are_refused(server: Server, strategy: pb.Strategy) -> None:
    pool, failures = server.image_set(range(5), encoder="new-1"), server.failures(encoder="old-1")
    with pytest.raises(FailedPrecondition, match="new-1, old-1"):
        server.select(pool_uris=[pool], failures_uri=failures, strategy=strategy)
    server.select("of-an-older-release", pool_uris=[pool], failures_uri=server.failures(encoder=""), strategy=strategy)


def test_a_selection_searches_the_index_of_its_own_encoder_whichever_serves(server: Server) -> None:
    server.index(server.image_set(range(40), near=range(40), encoder="old-1"))
    pool = server.image_set(range(100, 120), near=range(100, 110), encoder="new-1")
    samples, _ = server.select(pool_uris=[pool], failures_uri=server.failures(encoder="new-1"), budget=50)
    assert set(ids(samples)) == set(range(100, 120))
    assert nearest(server).encoder_id == "old-1"
