import numpy as np
import pytest
from scipy import stats

from services.retrieval.domain.sampling import BY_SCORE, Candidates, Draw, Strategy, capability_weights, draw_samples
from shared.errors import InvalidArgument

PROFILES = [{"m:mri": 1.0, "q:what": 0.5, "q:how": 0.5}, {"m:ct": 1.0, "q:what": 1.0}]
RATES = {"m:mri": 0.8, "m:ct": 0.2, "q:what": 0.5, "q:how": 0.0}


def candidates(n_mri: int, n_ct: int) -> Candidates:
    prototype = np.array([0] * n_mri + [1] * n_ct, dtype=np.int64)
    return Candidates([f"image-{i:05d}" for i in range(n_mri + n_ct)], prototype)


def scored(found: Candidates, seed: int = 0) -> Candidates:
    """The candidates with scores of which many are alike."""
    score = np.round(np.random.default_rng(seed).random(len(found.image_ids)), 1)
    return Candidates(found.image_ids, found.prototype, score)


def draw(
    found: Candidates, budget: int, seed: int = 0, strategy: Strategy = Strategy.FAILURE_DRIVEN, **changes
) -> Draw:
    arguments = {"profiles": PROFILES, "error_rates": RATES, "alpha": 1.0} | changes
    return draw_samples(found, **arguments, strategy=strategy, budget=budget, rng=np.random.default_rng(seed))


def test_weights_are_error_rates_to_the_power_alpha():
    weights = capability_weights({"b": 0.4, "a": 0.2, "c": 0.0}, 2.0)
    assert list(weights) == ["a", "b", "c"]
    assert weights == pytest.approx({"a": 0.2, "b": 0.8, "c": 0.0})


def test_alpha_zero_weighs_every_capability_alike_even_one_that_never_fails():
    assert capability_weights({"a": 0.9, "b": 0.0}, 0.0) == {"a": 0.5, "b": 0.5}


def test_nothing_that_fails_has_no_weights():
    assert capability_weights({"a": 0.0, "b": 0.0}, 1.0) == {}
    assert capability_weights({}, 1.0) == {}


@pytest.mark.parametrize(("rates", "alpha"), [({"a": 1.2}, 1.0), ({"a": float("nan")}, 1.0), ({"a": 0.5}, -1.0)])
def test_impossible_rates_and_exponents_are_refused(rates, alpha):
    with pytest.raises(InvalidArgument):
        capability_weights(rates, alpha)


@pytest.mark.parametrize("strategy", list(Strategy))
def test_exactly_the_budget_is_drawn_without_replacement_in_order_of_id(strategy):
    drawn = draw(scored(candidates(60, 40)), 30, strategy=strategy)
    assert len(drawn.rows) == len(set(drawn.rows.tolist())) == len(drawn.capabilities) == 30
    assert drawn.rows.tolist() == sorted(drawn.rows.tolist())
    assert drawn.reason == ""


@pytest.mark.parametrize("strategy", sorted(set(Strategy) - BY_SCORE))
def test_the_same_seed_gives_the_same_draw_and_another_seed_another(strategy):
    first, second, third = (draw(candidates(60, 40), 30, seed, strategy) for seed in (1, 1, 2))
    assert first.rows.tolist() == second.rows.tolist() != third.rows.tolist()
    assert first.capabilities == second.capabilities


@pytest.mark.parametrize("strategy", list(Strategy))
def test_zero_budget_selects_nothing(strategy):
    drawn = draw(scored(candidates(5, 5)), 0, strategy=strategy)
    assert (drawn.rows.tolist(), drawn.capabilities, drawn.reason) == ([], (), "")


@pytest.mark.parametrize("strategy", list(Strategy))
def test_too_few_images_are_all_drawn_with_the_reason(strategy):
    drawn = draw(scored(candidates(3, 4)), 10, strategy=strategy)
    assert drawn.rows.tolist() == list(range(7))
    assert drawn.reason.startswith("7 of 10: ")


def test_no_capability_that_fails_selects_nothing_with_the_reason():
    drawn = draw(candidates(3, 4), 10, error_rates=dict.fromkeys(RATES, 0.0))
    assert drawn.rows.tolist() == []
    assert drawn.reason == "0 of 10: no capability fails"


def test_no_candidates_select_nothing():
    assert draw(candidates(0, 0), 10).rows.tolist() == []
    assert draw(candidates(0, 0), 10, profiles=[]).rows.tolist() == []


def test_budget_is_split_between_capabilities_by_their_weights_however_many_images_each_has():
    found = candidates(900, 100)
    drawn = [draw(found, 1, seed).capabilities[0] for seed in range(3000)]
    names = ["m:ct", "m:mri", "q:what"]
    expected = 3000 * np.array([0.2, 0.8, 0.5]) / 1.5
    assert stats.chisquare([drawn.count(name) for name in names], expected).pvalue > 0.01


def test_a_single_draw_takes_an_image_with_its_weight():
    found = candidates(2, 1)
    rows = [int(draw(found, 1, seed).rows[0]) for seed in range(3000)]
    share_mri = (0.8 / 2 + 0.5 * 0.5 / 2.0) / 1.5
    expected = 3000 * np.array([share_mri, share_mri, 1 - 2 * share_mri])
    assert stats.chisquare(np.bincount(rows), expected).pvalue > 0.01


def test_an_image_is_drawn_for_a_capability_of_the_prototype_that_found_it_and_that_fails():
    found = candidates(50, 50)
    drawn = draw(found, 60)
    for row, capability in zip(drawn.rows, drawn.capabilities, strict=True):
        assert PROFILES[found.prototype[row]][capability] > 0
        assert RATES[capability] > 0


def test_images_of_a_prototype_without_weight_are_not_drawn():
    drawn = draw(candidates(5, 5), 10, error_rates={"m:mri": 0.5, "m:ct": 0.0})
    assert drawn.rows.tolist() == [0, 1, 2, 3, 4]
    assert set(drawn.capabilities) == {"m:mri"}


def test_uniform_capability_is_failure_driven_with_alpha_zero():
    first = draw(candidates(60, 40), 30, strategy=Strategy.UNIFORM_CAPABILITY, alpha=3.0)
    second = draw(candidates(60, 40), 30, alpha=0.0)
    assert first.rows.tolist() == second.rows.tolist()
    assert first.capabilities == second.capabilities


def test_random_ignores_prototypes_and_error_rates():
    first = draw(candidates(60, 40), 30, strategy=Strategy.RANDOM)
    second = draw(candidates(0, 100), 30, strategy=Strategy.RANDOM, profiles=[], error_rates={})
    assert first.rows.tolist() == second.rows.tolist()
    assert set(first.capabilities) == {""}


@pytest.mark.parametrize("strategy", sorted(BY_SCORE))
def test_a_score_alone_draws_the_highest_ties_by_id_for_no_capability(strategy):
    found = scored(candidates(60, 40))
    drawn = draw(found, 30, strategy=strategy, profiles=[], error_rates={})
    by_hand = sorted(range(100), key=lambda row: (-found.score[row], found.image_ids[row]))[:30]
    assert drawn.rows.tolist() == sorted(by_hand)
    assert set(drawn.capabilities) == {""}
    assert drawn.rows.tolist() == draw(found, 30, 1, strategy).rows.tolist()
    assert draw(found, 101, strategy=strategy).reason.endswith("no more eligible images")
    with pytest.raises(InvalidArgument, match="needs one"):
        draw(candidates(1, 1), 1, strategy=strategy)


def test_random_takes_every_image_equally_often():
    counts = np.zeros(20)
    for seed in range(1000):
        counts[draw(candidates(10, 10), 5, seed, Strategy.RANDOM).rows] += 1
    assert stats.chisquare(counts).pvalue > 0.01


def test_negative_budget_and_unsorted_ids_are_refused():
    with pytest.raises(InvalidArgument):
        draw(candidates(2, 2), -1)
    for ids in (["b", "a"], ["a", "a"]):
        with pytest.raises(InvalidArgument):
            draw(Candidates(ids, np.zeros(2, dtype=np.int64)), 1)


def test_a_large_exponent_of_small_rates_still_weighs() -> None:
    assert capability_weights({"a": 1e-4, "b": 2e-4}, 100.0) == {"a": pytest.approx(0.5**100), "b": pytest.approx(1.0)}
