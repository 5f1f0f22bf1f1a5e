import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from services.training.domain import deduplicate
from services.training.domain.deduplicate import perceptual_duplicates, tfidf_near_duplicates
from shared.errors import InvalidArgument

WORDS = ["motion", "ghost", "noise", "streak", "blur", "slice", "image", "dark", "bright", "severe", "mild", "metal"]


def sentences(n: int, seed: int, n_words: int = 5) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, n_words)) for _ in range(n)]


def slow_reference(texts: list[str], groups: list[str], threshold: float) -> list[int]:
    vectors = TfidfVectorizer(token_pattern=r"\w+").fit_transform(texts).toarray()
    keeper: list[int] = []
    for i in range(len(texts)):
        near = [
            j for j in range(i) if keeper[j] == j and groups[j] == groups[i] and vectors[i] @ vectors[j] >= threshold
        ]
        keeper.append(min(near, default=i))
    return keeper


def test_near_equal_pictures_are_kept_once_the_first_of_them():
    hashes = ["00000000000000f0", "ffffffffffffffff", "00000000000000f1", "fffffffffffffffe", "0000000000ffffff"]
    assert perceptual_duplicates(hashes, distance=2).tolist() == [0, 1, 0, 1, 4]
    assert perceptual_duplicates(hashes, distance=0).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("threshold", [0.5, 0.8, 1.0])
@pytest.mark.parametrize("n_groups", [1, 4])
def test_texts_are_kept_as_by_comparing_each_with_all_kept_before(threshold, n_groups):
    texts = sentences(150, 1)
    groups = [str(i % n_groups) for i in range(150)]
    found = tfidf_near_duplicates(texts, groups, threshold=threshold)
    assert found.tolist() == slow_reference(texts, groups, threshold - 1e-9)
    assert (found != np.arange(150)).any()


def test_more_texts_than_a_block_are_compared_across_blocks():
    n = deduplicate._BLOCK + 50
    texts = [f"word{i} other{i}" for i in range(n)]
    texts[-1] = texts[3]
    assert np.flatnonzero(tfidf_near_duplicates(texts, [""] * n, threshold=0.9) != np.arange(n)).tolist() == [n - 1]


def test_template_questions_about_different_images_are_no_duplicates():
    text = "Is there motion? Yes"
    assert tfidf_near_duplicates([text, text, text], ["image-1", "image-2", "image-1"], threshold=0.9).tolist() == [
        0,
        1,
        0,
    ]


def test_word_order_and_case_do_not_hide_a_duplicate():
    assert tfidf_near_duplicates(["Motion ghosts", "ghosts, MOTION"], ["", ""], threshold=0.99).tolist() == [0, 0]


def test_texts_without_words_repeat_only_their_equals():
    texts = ["?", "motion", "?", "!", ""]
    assert tfidf_near_duplicates(texts, [""] * 5, threshold=0.9).tolist() == [0, 1, 0, 3, 4]
    assert tfidf_near_duplicates(["?", "!", "?"], ["", "", ""], threshold=0.9).tolist() == [0, 1, 0]
    assert tfidf_near_duplicates([], [], threshold=0.9).tolist() == []


def test_groups_that_do_not_fit_and_thresholds_out_of_range_are_refused():
    with pytest.raises(InvalidArgument):
        tfidf_near_duplicates(["a"], [], threshold=0.9)
    for threshold in (0.0, 1.1):
        with pytest.raises(InvalidArgument):
            tfidf_near_duplicates(["a"], [""], threshold=threshold)
