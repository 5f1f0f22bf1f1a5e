"""Which images of the pool a selection draws."""

from __future__ import annotations

from medq.retrieval.v1 import retrieval_pb2 as pb
from shared.rpc.operations import await_operation
from tests.support.databases import Database
from tests.support.retrieval_server import Server, ids


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


def test_a_selection_does_not_hold_paths_or_times(server: Server) -> None:
    samples, selection = server.select(pool_uris=[server.image_set(range(9), near=range(9))])
    assert str(server.folder) not in str([samples, selection])
