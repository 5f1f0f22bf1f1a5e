"""What holds for every strategy, and what the peers of the contrast draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from services.retrieval.domain.sampling import BY_CONTRAST, BY_REFERENCE, BY_SCORE, Strategy
from services.retrieval.operations import STRATEGIES
from shared.errors import FailedPrecondition, InvalidArgument
from shared.rows.annotation import Generation, Question
from shared.rpc.operations import await_operation
from tests.support.retrieval_server import Server, ids, refused, vector_of
from tests.support.rows import build as row

every_strategy = pytest.mark.parametrize("strategy", sorted(Strategy))
NUMBERS = {name: number for number, name in STRATEGIES.items()}


def asked(server: Server, strategy: Strategy, **changed: Any) -> dict[str, Any]:
    """A request for which the strategy lacks nothing: 60 pool images, half of them near to the failures."""
    fields: dict[str, Any] = {
        "strategy": NUMBERS[strategy],
        "pool_uris": [server.image_set(range(60), near=range(30))],
        "failures_uri": server.failures(failed=range(20), never_failed=range(20, 60)),
    }
    if strategy in BY_REFERENCE:
        fields["reference_uris"] = [server.image_set(range(500, 520), "replay")]
    if strategy is Strategy.UNCERTAINTY:
        fields |= answers(server, {i: [-0.01 * i] for i in range(60)})
    return fields | changed


def answers(server: Server, logprobs: dict[int, list[float]]) -> dict[str, Any]:
    """What the model answered to one question about each of these images: the log-probabilities of its tokens."""
    questions = [row(Question, question_id=f"q{i}", image_uri=f"sha256:{i:064x}") for i in logprobs]
    generations = [
        row(Generation, question_id=f"q{i}", token_logprobs=tuple(values), answer_logprobs=None)
        for i, values in logprobs.items()
    ]
    return {
        "questions_uri": server.dataset("questions", {"questions.jsonl": questions}, {}),
        "generations_uri": server.dataset("generations", {"generations.jsonl": generations}, {}),
    }


@every_strategy
def test_an_image_is_drawn_once_for_an_arm_and_may_be_drawn_for_another(server: Server, strategy: Strategy) -> None:
    request = asked(server, strategy, budget=5)
    first, _ = server.select("r0", **request)
    second, selection = server.select("r1", **request, round=1)
    assert first
    assert second
    assert set(ids(first)).isdisjoint(ids(second))
    assert (selection.strategy, selection.fallback, selection.excluded["used_before"]) == (strategy, "", len(first))
    assert len(server.select("other", **request, arm="other")[0]) == len(first)


@every_strategy
def test_nothing_that_leaks_is_drawn(server: Server, strategy: Strategy) -> None:
    dev = server.image_set([0, *range(2, 30), *range(30, 58)], "dev")
    samples, selection = server.select(**asked(server, strategy, budget=50), guard_uris=[dev])
    assert set(ids(samples)) <= {1, 58, 59}
    assert selection.excluded["leak_same_pixels"] == 57


@every_strategy
def test_a_run_repeated_under_another_name_draws_the_same_bytes(server: Server, strategy: Strategy) -> None:
    uris = []
    for run_id in ("one", "two"):
        server.stub.StartSelectSamples(server.request(run_id, run_id=run_id, **asked(server, strategy, budget=7)))
        uris.append(await_operation(server.channel, run_id).result_uri)
    assert uris[0] == uris[1]


@every_strategy
def test_images_of_another_encoder_are_refused_where_they_are_compared(server: Server, strategy: Strategy) -> None:
    request = asked(server, strategy, pool_uris=[server.image_set(range(9), encoder="other")])
    if strategy in (Strategy.RANDOM, Strategy.UNCERTAINTY):
        assert server.select(**request)[0]
    else:
        with pytest.raises(FailedPrecondition, match="several encoders"):
            server.select(**request)


@pytest.mark.parametrize("strategy", sorted(BY_SCORE))
def test_a_score_draws_for_no_capability_and_is_told(server: Server, strategy: Strategy) -> None:
    samples, selection = server.select(**asked(server, strategy, failures_uri="", budget=7))
    (measure,) = {sample.measure for sample in samples}
    assert {(s.prototype_id, s.similarity, s.contrast, s.capability) for s in samples} == {("", None, None, "")}
    assert [(row.name, row.n_drawn) for row in selection.found] == [(measure, 7)]
    assert "no_contrast" not in selection.excluded


@pytest.mark.parametrize("strategy", sorted(BY_REFERENCE))
def test_what_is_unlike_the_references_is_drawn(server: Server, strategy: Strategy) -> None:
    """The model knows images along axis 1: the 30 along axis 0 are new to it."""
    samples, _ = server.select(**asked(server, strategy, budget=1))
    assert set(ids(samples)) <= set(range(30))
    assert samples[0].score > 0.8


def test_novelty_is_that_of_the_vectors_and_the_highest_are_drawn(server: Server) -> None:
    samples, _ = server.select(**asked(server, Strategy.NOVELTY, budget=10))
    references = np.stack([vector_of(i, 1) for i in range(500, 520)]).astype(np.float64)
    known = {i: np.sort(references @ vector_of(i, int(i >= 30)))[-5:].mean() for i in range(60)}
    assert ids(samples) == sorted(sorted(known, key=known.__getitem__)[:10])
    assert {int(s.image_id, 16): s.score for s in samples} == {
        i: pytest.approx(1 - known[i], abs=2e-6) for i in ids(samples)
    }


def test_what_an_arm_drew_before_is_no_longer_new_to_it(server: Server) -> None:
    """Alone beside the known ones: images 0 and 1 along axis 0, of which one is drawn first."""
    request = asked(server, Strategy.NOVELTY, budget=1, neighbours=1)
    request["pool_uris"] = [server.image_set(range(60), near=[0, 1])]
    first, _ = server.select("r0", **request)
    second, _ = server.select("r1", **request, round=1)
    assert set(ids(first)) < {0, 1}
    assert second[0].score < 0.1 < first[0].score


def test_k_centre_takes_one_of_each_kind_before_a_second_of_any(server: Server) -> None:
    request = asked(server, Strategy.K_CENTRE, budget=2)
    axes = {0: 0, 1: 0, 2: 5, 3: 5, 4: 1}
    vectors = np.stack([vector_of(i, axis) for i, axis in axes.items()])
    request["pool_uris"] = [server.image_set_of(vectors)]
    samples, _ = server.select(**request)
    assert {axes[i] for i in ids(samples)} == {0, 5}


def test_uncertainty_draws_the_least_sure_and_counts_what_has_no_entropy(server: Server) -> None:
    """Images 3 and 9 are the least sure, 4 has no usable log-probabilities, 99 is not of the pool, 50 were not asked about."""
    known = {i: [-0.1 * i, 0.0] for i in range(10)} | {4: [], 3: [-4.0], 99: [-9.0]}
    samples, selection = server.select(**asked(server, Strategy.UNCERTAINTY, budget=2, **answers(server, known)))
    assert {int(s.image_id, 16): (s.measure, s.score) for s in samples} == {3: ("entropy", 4.0), 9: ("entropy", 0.45)}
    assert (selection.excluded["not_asked"], selection.excluded["no_entropy"]) == (50, 1)
    request = asked(server, Strategy.UNCERTAINTY, budget=20, arm="other", **answers(server, known))
    assert server.select("all", **request)[1].reason == "9 of 20: the model was asked about no more eligible images"


def test_uncertainty_without_questions_or_answers_is_refused(server: Server) -> None:
    for field in ("questions_uri", "generations_uri"):
        request = server.request(**asked(server, Strategy.UNCERTAINTY, **{field: ""}))
        assert refused(server.stub.StartSelectSamples, request).field == field


def test_too_few_references_are_refused_with_a_remedy(server: Server) -> None:
    few = [server.image_set(range(500, 503), "replay")]
    with pytest.raises(FailedPrecondition, match="compares with 5 reference images; there are 3"):
        server.select(**asked(server, Strategy.NOVELTY, reference_uris=few))
    for strategy in BY_REFERENCE:
        error = refused(server.stub.StartSelectSamples, server.request(**asked(server, strategy, reference_uris=[])))
        assert (type(error), error.field) == (InvalidArgument, "reference_uris")


def test_the_control_draws_by_other_dev_images_than_those_that_failed(server: Server) -> None:
    """Contrast finds what looks like the failures; of what the control takes for failures, two of three look otherwise."""
    contrast, _ = server.select("real", **asked(server, Strategy.FAILURE_CONTRAST, budget=20))
    assert set(ids(contrast)) <= set(range(30))
    drawn = [
        server.select(f"{seed}", **asked(server, Strategy.SHUFFLED_FAILURES, budget=20), seed=seed, arm=f"{seed}")[0]
        for seed in range(4)
    ]
    assert len({tuple(ids(samples)) for samples in drawn}) > 1
    assert set().union(*map(ids, drawn)) - set(range(30))
    assert {sample.capability for samples in drawn for sample in samples} == {"attribute:noise"}


@pytest.mark.parametrize("strategy", sorted(BY_CONTRAST))
def test_with_too_few_failures_the_draw_is_another_and_the_control_never_one_by_failures(
    server: Server, strategy: Strategy
) -> None:
    failures = server.failures(failed=range(3), never_failed=range(3, 40))
    samples, selection = server.select(**asked(server, strategy, failures_uri=failures))
    assert selection.drawn_by == BY_CONTRAST[strategy]
    assert selection.fallback.endswith(f"there are 3 and 37, so images are drawn by {selection.drawn_by}")
    assert {bool(sample.prototype_id) for sample in samples} == {strategy is Strategy.FAILURE_CONTRAST}
