"""Images that touch dev or test."""

from __future__ import annotations

from medq.retrieval.v1 import retrieval_pb2 as pb
from services.retrieval.domain.leakage import LeakReason
from services.retrieval.service import MOST_IDS
from tests.support.retrieval_server import Server, ids


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
