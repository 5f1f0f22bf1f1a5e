import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from shared.errors import InvalidArgument
from shared.statistics import Interval, bootstrap_mean, cohen_kappa, paired_bootstrap, quadratic_kappa, t_interval


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_one_item_per_source_gives_the_ordinary_bootstrap_of_scipy():
    values = rng(1).normal(size=60)
    ours = bootstrap_mean(values, range(60), rng(2), n_resamples=20_000)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=rng(3), vectorized=True
    ).confidence_interval
    assert ours.value == pytest.approx(values.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_unequal_sources_give_scipys_bootstrap_of_the_ratio_of_source_sums():
    draw = rng(4)
    sizes = draw.integers(1, 9, size=60)
    sources = np.repeat(np.arange(60), sizes)
    values = (draw.random(len(sources)) < np.repeat(draw.random(60), sizes)).astype(float)
    sums = np.bincount(sources, weights=values)
    ours = bootstrap_mean(values, sources.tolist(), rng(5), n_resamples=20_000)
    theirs = stats.bootstrap(
        (sums, sizes),
        lambda s, c, axis=-1: s.sum(axis=axis) / c.sum(axis=axis),
        paired=True,
        n_resamples=20_000,
        method="percentile",
        rng=rng(6),
    ).confidence_interval
    assert ours.value == pytest.approx(values.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_items_of_one_source_widen_the_interval_compared_with_independent_items():
    values = np.repeat(rng(7).integers(0, 2, size=20), 10)
    by_source = bootstrap_mean(values, np.repeat(np.arange(20), 10).tolist(), rng())
    by_item = bootstrap_mean(values, range(200), rng())
    assert by_source.high - by_source.low > 2 * (by_item.high - by_item.low)


def test_order_of_items_does_not_change_the_interval():
    values, sources = rng(8).random(50), [f"s{i % 7}" for i in range(50)]
    order = rng(9).permutation(50)
    first = bootstrap_mean(values, sources, rng())
    second = bootstrap_mean(values[order], [sources[i] for i in order], rng())
    assert first == second


def test_no_items_have_no_value():
    assert bootstrap_mean([], [], rng()) == Interval(None, None, None, 0, 0)
    assert t_interval([]) == Interval(None, None, None, 0)


def test_one_source_gives_no_interval():
    assert bootstrap_mean([0, 1, 1, 1], ["a"] * 4, rng()) == Interval(0.75, None, None, 4, 1)


def test_paired_gain_is_the_bootstrap_of_the_differences():
    before, after = rng(1).integers(0, 2, 80), rng(2).integers(0, 2, 80)
    sources = [i // 4 for i in range(80)]
    assert paired_bootstrap(before, after, sources, rng()) == bootstrap_mean(after - before, sources, rng())


def test_equal_scores_gain_nothing_with_certainty():
    gain = paired_bootstrap([0, 1, 1], [0, 1, 1], ["a", "b", "c"], rng())
    assert (gain.value, gain.low, gain.high) == (0, 0, 0)


def test_95_percent_interval_covers_the_truth_about_95_times_in_100():
    draw, covered = rng(11), 0
    for _ in range(300):
        of_source = np.repeat(draw.normal(size=60), 3)
        interval = bootstrap_mean(
            of_source + draw.normal(size=180), np.repeat(np.arange(60), 3).tolist(), draw, n_resamples=400
        )
        covered += interval.low <= 0 <= interval.high
    assert 0.90 <= covered / 300 <= 0.98


@pytest.mark.parametrize("is_share", [True, False])
def test_with_five_sources_the_interval_covers_the_truth_as_often_as_it_says(is_share):
    draw, covered = rng(12), 0
    for _ in range(600):
        rate = np.repeat(draw.beta(6.3, 2.7, size=5), 10)
        values = draw.random(50) < rate if is_share else rate + draw.normal(0, 0.4, size=50)
        interval = bootstrap_mean(values, np.repeat(np.arange(5), 10).tolist(), draw)
        covered += interval.low <= 0.7 <= interval.high
    assert covered / 600 >= 0.93


def test_few_sources_of_one_item_each_have_students_interval():
    values = rng(13).normal(size=6)
    ours, theirs = bootstrap_mean(values, range(6), rng()), t_interval(values)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    assert ours.n_sources == 6


def test_all_right_on_few_sources_is_not_certain():
    interval = bootstrap_mean([True] * 50, [item // 10 for item in range(50)], rng())
    t = stats.t.ppf(0.975, 4)
    assert (interval.value, interval.high) == (1.0, 1.0)
    assert interval.low == pytest.approx(1 / (1 + t**2 / 50))  # Wilson's limit


@pytest.mark.parametrize("n_right", [0, 1, 3, 9, 10])
def test_limits_of_a_share_lie_within_0_and_1_around_it(n_right):
    interval = bootstrap_mean([place < n_right for place in range(10)], [place // 5 for place in range(10)], rng())
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_t_interval_is_scipys():
    values = rng(3).normal(size=7)
    limits = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    ours = t_interval(values, confidence=0.9)
    assert (ours.value, ours.low, ours.high) == pytest.approx((values.mean(), limits.low, limits.high))


def test_one_value_has_no_t_limits():
    assert t_interval([0.4]) == Interval(0.4, None, None, 1)


@pytest.mark.parametrize("seed", range(5))
def test_kappas_are_those_of_scikit_learn(seed):
    first = rng(seed).integers(0, 4, 50).tolist()
    second = [int(x) if rng(seed + i).random() < 0.6 else 3 for i, x in enumerate(first)]
    assert cohen_kappa(first, second) == pytest.approx(cohen_kappa_score(first, second))
    quadratic = cohen_kappa_score(first, second, weights="quadratic", labels=[0, 1, 2, 3])
    assert quadratic_kappa(first, second) == pytest.approx(quadratic)


def test_kappa_takes_any_labels():
    first, second = ["good", "usable", "good", "reject"], ["good", "good", "good", "reject"]
    assert cohen_kappa(first, second) == pytest.approx(cohen_kappa_score(first, second))


def test_kappa_without_any_disagreement_possible_is_undefined():
    assert cohen_kappa(["x", "x"], ["x", "x"]) is None
    assert quadratic_kappa([2, 2], [2, 2]) is None
    assert cohen_kappa([], []) is None
    assert quadratic_kappa([], []) is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: bootstrap_mean([1.0], [], rng()),
        lambda: bootstrap_mean([np.nan], ["a"], rng()),
        lambda: bootstrap_mean([[1.0]], ["a"], rng()),
        lambda: bootstrap_mean([1.0], ["a"], rng(), n_resamples=0),
        lambda: bootstrap_mean([1.0], ["a"], rng(), confidence=1.0),
        lambda: paired_bootstrap([1.0], [1.0, 0.0], ["a"], rng()),
        lambda: t_interval([1.0, np.inf]),
        lambda: cohen_kappa(["a"], []),
        lambda: quadratic_kappa([1], []),
    ],
)
def test_input_that_cannot_work_is_refused(call):
    with pytest.raises(InvalidArgument):
        call()
