import math

import numpy as np
import pytest
from scipy import stats

from services.oracle.domain.calibration import ENOUGH_REVIEWS, calibrate_entropy_threshold, reviews_of
from shared.errors import InvalidArgument
from shared.rows.annotation import Decision, Unanswered
from tests.support.rows import build


def slow_reference(h: np.ndarray, wrong: np.ndarray, target: float) -> tuple[float, bool]:
    """The largest cut between distinct entropies whose exact upper limit is within the target; else that of the lowest limit."""
    limits = {}
    distinct = sorted(set(h.tolist()))
    for value, after in zip(distinct, [*distinct[1:], distinct[-1]], strict=True):
        adopted = h <= value
        exact = stats.binomtest(int(wrong[adopted].sum()), int(adopted.sum()), alternative="less")
        limits[(value + after) / 2] = exact.proportion_ci(0.95).high
    met = [cut for cut, limit in limits.items() if limit <= target]
    return (max(met), True) if met else (min(limits, key=limits.__getitem__), False)


@pytest.mark.parametrize("target", [0.15, 0.01])
@pytest.mark.parametrize("seed", range(6))
def test_threshold_is_the_largest_whose_upper_limit_meets_the_target_or_has_the_lowest_limit(seed, target):
    rng = np.random.default_rng(seed)
    h = np.round(rng.gamma(2, 0.2, 400), 2)
    wrong = rng.random(400) < np.minimum(h**2, 0.9)
    found = calibrate_entropy_threshold(h, wrong, target_error_rate=target)
    assert (found.tau_entropy, found.is_met) == (pytest.approx(slow_reference(h, wrong, target)[0]), target > 0.1)
    assert found.is_met == slow_reference(h, wrong, target)[1]
    adopted = h < found.tau_entropy
    assert (found.n_reviewed, found.n_adopted, found.n_wrong) == (400, adopted.sum(), wrong[adopted].sum())
    assert (found.upper_error_rate <= target) == found.is_met


def test_too_few_samples_do_not_meet_the_target_however_right_they_are():
    found = calibrate_entropy_threshold(np.arange(58), np.zeros(58), target_error_rate=0.05)
    assert (found.is_met, found.n_adopted, found.n_reviewed) == (False, 58, 58)
    assert found.upper_error_rate == pytest.approx(1 - 0.05 ** (1 / 58))
    assert calibrate_entropy_threshold(np.arange(59), np.zeros(59), target_error_rate=0.05).is_met


def test_without_reviews_nothing_is_adopted():
    found = calibrate_entropy_threshold([], [], target_error_rate=0.05)
    assert (found.tau_entropy, found.n_reviewed, found.is_met, found.upper_error_rate) == (0.0, 0, False, None)


def test_nothing_is_adopted_beyond_the_largest_entropy_that_was_reviewed():
    found = calibrate_entropy_threshold(np.arange(59), np.zeros(59), target_error_rate=0.05)
    assert found.tau_entropy == np.nextafter(58, math.inf)


def test_samples_of_one_entropy_are_adopted_together_or_not_at_all():
    wrong = np.array([False] * 60 + [True] * 60)
    found = calibrate_entropy_threshold(np.ones(120), wrong, target_error_rate=0.2)
    assert (found.is_met, found.n_adopted, found.n_wrong) == (False, 120, 60)


def test_what_is_always_wrong_is_never_adopted():
    assert calibrate_entropy_threshold(np.arange(99), np.ones(99), target_error_rate=0.9).n_adopted == 0


def test_infinite_entropies_are_not_adopted():
    h = np.array([0.1] * 100 + [math.inf] * 3)
    found = calibrate_entropy_threshold(h, np.repeat([False, True], [100, 3]), target_error_rate=0.05)
    assert (found.tau_entropy, found.n_adopted) == (np.nextafter(0.1, 1), 100)


def decision(entropy=0.1, self_answer="A", answer="A", agreement=1.0, action="accept", route="review"):
    return build(
        Decision, entropy=entropy, self_answer=self_answer, answer=answer, agreement=agreement, expert_action=action,
        route=route,
    )  # fmt: skip


def test_what_could_not_be_adopted_whatever_its_entropy_is_not_fitted_on():
    rows = [
        decision(0.2, answer="B", action="edit"),
        decision(agreement=0.0),
        decision(self_answer=None, agreement=None),
        decision(None),
        decision(action="", route="self"),
        decision(0.3, route="audit"),
        build(Unanswered, entropy=0.4, agreement=1.0),
        build(Unanswered, entropy=0.4, agreement=0.0),
        build(Unanswered, entropy=None, agreement=None),
    ]
    assert reviews_of([rows], 0.5) == ([0.2, 0.3, 0.4], [True, False, True])


def test_reviews_of_the_newest_rounds_come_first_until_there_are_enough():
    cold_start, audited = [decision(9.0)] * ENOUGH_REVIEWS, [decision(0.5)] * (ENOUGH_REVIEWS - 1)
    assert len(reviews_of([cold_start, audited], 0.5)[0]) == 2 * ENOUGH_REVIEWS - 1
    newest = [decision(0.7)]
    assert set(reviews_of([cold_start, audited, newest], 0.5)[0]) == {0.5, 0.7}
    assert reviews_of([], 0.5) == ([], [])


@pytest.mark.parametrize(
    ("h", "wrong", "target"), [([1.0], [], 0.1), ([-1.0], [True], 0.1), ([math.nan], [True], 0.1), ([1.0], [True], 0.0)]
)
def test_input_that_cannot_work_is_refused(h, wrong, target):
    with pytest.raises(InvalidArgument):
        calibrate_entropy_threshold(h, wrong, target_error_rate=target)


GHOSTS = "Motion ghosts over the knee. Overall, the quality of this image is usable."
NEAR = "Ghosts of motion lie over the knee. Overall, the quality of this image is usable."
WORSE = GHOSTS.replace("usable", "reject")


def described(answer, action="accept", entropy=1.5):
    return build(
        Decision, options={}, question_type="description", entropy=entropy, agreement=1.0, self_answer=NEAR,
        reference_answer=GHOSTS, answer=answer, expert_action=action, route="review",
    )  # fmt: skip


def test_letters_and_descriptions_are_fitted_apart():
    letter = build(Decision, entropy=0.1, agreement=1.0, self_answer="A", answer="A", expert_action="accept")
    rounds = [[letter, described(GHOSTS)]]
    assert reviews_of(rounds, 0.5) == ([0.1], [False])
    assert reviews_of(rounds, 0.5, tau_text=0.5) == ([1.5], [False])


def test_a_description_was_wrong_where_the_experts_does_not_agree_with_it():
    rows = [described(GHOSTS), described(NEAR), described(WORSE, "edit"), described("Noise.", "edit")]
    rejected = build(Unanswered, question="Describe it.", options={}, entropy=1.5, agreement=1.0)
    assert reviews_of([[*rows, rejected]], 0.5, tau_text=0.5)[1] == [False, False, True, True, True]
