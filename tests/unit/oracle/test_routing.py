import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.oracle.domain.routing import EXPERT, REFERENCE, SELF, agreement_choice, agreement_description, route
from services.oracle.domain.text_similarity import TextSimilarity
from shared.entropy import trajectory_entropy
from shared.errors import InvalidArgument

share = st.floats(0, 1)
entropies = st.floats(0, 10)


def test_equation_3_is_the_mean_negative_log_probability():
    probabilities = [0.5, 0.25, 1.0]
    expected = (math.log(2) + math.log(4) + 0) / 3
    assert trajectory_entropy([math.log(p) for p in probabilities]) == pytest.approx(expected)


def test_a_certain_answer_has_entropy_zero_and_an_impossible_one_infinity():
    assert math.copysign(1, trajectory_entropy([0.0, 0.0])) == 1
    assert trajectory_entropy(np.array([5e-8], dtype=np.float32)) == 0
    assert trajectory_entropy([-1.0, -math.inf]) == math.inf


@pytest.mark.parametrize("logprobs", [[], [0.5], [math.nan], [[-1.0]]])
def test_what_is_no_sequence_of_log_probabilities_is_refused(logprobs):
    with pytest.raises(InvalidArgument):
        trajectory_entropy(logprobs)


@given(entropies, share, entropies, share)
def test_routing_is_the_rule_of_the_paper(entropy, agreement, tau_entropy, tau_agreement):
    taken = route(entropy, agreement, tau_entropy=tau_entropy, tau_agreement=tau_agreement)
    assert (taken == REFERENCE) == (entropy >= tau_entropy)
    assert (taken == EXPERT) == (entropy < tau_entropy and agreement < tau_agreement)
    assert (taken == SELF) == (entropy < tau_entropy and agreement >= tau_agreement)


@given(entropies, share)
def test_an_entropy_at_the_threshold_is_uncertain(entropy, agreement):
    assert route(entropy, agreement, tau_entropy=entropy, tau_agreement=0.5) == REFERENCE


@given(share)
def test_an_agreement_at_the_threshold_is_consistent(agreement):
    assert route(0.1, agreement, tau_entropy=0.2, tau_agreement=agreement) == SELF


def test_thresholds_at_zero_and_infinity_switch_paths_off():
    assert route(0.0, 1.0, tau_entropy=0.0, tau_agreement=0.5) == REFERENCE
    assert route(9.9, 1.0, tau_entropy=math.inf, tau_agreement=0.5) == SELF
    assert route(math.inf, 1.0, tau_entropy=math.inf, tau_agreement=0.5) == REFERENCE
    assert route(0.0, 0.0, tau_entropy=1.0, tau_agreement=0.0) == SELF


@pytest.mark.parametrize(
    ("entropy", "agreement", "tau_entropy", "tau_agreement"),
    [
        (-1, 0, 1, 1),
        (math.nan, 0, 1, 1),
        (1, 1.1, 1, 1),
        (1, math.nan, 1, 1),
        (1, 0, -1, 1),
        (1, 0, math.nan, 1),
        (1, 0, 1, 2),
    ],
)
def test_numbers_out_of_range_are_refused(entropy, agreement, tau_entropy, tau_agreement):
    with pytest.raises(InvalidArgument):
        route(entropy, agreement, tau_entropy=tau_entropy, tau_agreement=tau_agreement)


def test_choices_agree_when_both_name_the_same_option():
    assert agreement_choice("B", "B") == 1
    assert agreement_choice("B", "C") == 0
    assert agreement_choice(None, "B") == agreement_choice("B", None) == agreement_choice(None, None) == 0


GHOSTS = "Knee MRI with motion ghosts. Overall, the quality of this image is usable."


OTHER_GHOSTS = "MRI with noise and ghosts. Overall, the quality of this image is usable."
NEAR = TextSimilarity([GHOSTS, OTHER_GHOSTS])


def test_descriptions_of_different_or_missing_levels_do_not_agree():
    assert agreement_description(GHOSTS, GHOSTS.replace("usable", "reject"), NEAR, tau_text=0) == 0
    assert agreement_description("Motion ghosts.", "Motion ghosts.", NEAR, tau_text=0) == 0


def test_descriptions_of_one_level_agree_from_the_threshold_on():
    similarity = NEAR(GHOSTS, OTHER_GHOSTS)
    assert 0 < similarity < 1
    assert agreement_description(GHOSTS, OTHER_GHOSTS, NEAR, tau_text=similarity) == 1
    assert agreement_description(GHOSTS, OTHER_GHOSTS, NEAR, tau_text=math.nextafter(similarity, 1)) == 0
    assert agreement_description(GHOSTS, GHOSTS, NEAR, tau_text=1) == 1


def test_similarity_is_the_tfidf_cosine_by_hand():
    first = "ghosts. overall the quality of this image is good"
    second = "noise. overall the quality of this image is good"
    common = 8
    rare = math.log(3 / 2) + 1
    assert TextSimilarity([first, second])(first, second) == pytest.approx(common / (common + rare**2))


def test_words_that_every_text_has_bring_texts_less_near_where_the_corpus_is_larger():
    first, second, *more = (f"{word}. overall the image is good" for word in ("ghosts", "noise", "blur", "bubbles"))
    assert TextSimilarity([first, second, *more])(first, second) < TextSimilarity([first, second])(first, second)


def test_similarity_does_not_depend_on_the_order_of_the_corpus():
    corpus = [GHOSTS, "CT with streaks.", OTHER_GHOSTS]
    assert TextSimilarity(corpus)(GHOSTS, OTHER_GHOSTS) == TextSimilarity(corpus[::-1])(GHOSTS, OTHER_GHOSTS)


def test_texts_without_a_word_share_nothing():
    assert TextSimilarity(["..."])("...", "...") == TextSimilarity([])("ghosts", "ghosts") == NEAR("...", GHOSTS) == 0
