"""Selection by contrast between failures and successes."""

from __future__ import annotations

import numpy as np

from medq.retrieval.v1 import retrieval_pb2 as pb
from shared.rows.failures import CapabilityErrorRate, PrototypeRow
from tests.support.retrieval_server import D, Server, ids
from tests.support.rows import build as row


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
