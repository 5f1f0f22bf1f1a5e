import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from services.training.domain.deduplicate import Said, repeated_samples
from shared.errors import InvalidArgument

PICTURE, ANOTHER = "00000000000000f0", "ffffffffffffffff"
NEARLY = "00000000000000f1"
QUESTION = "Which degradation does the image show?"


def keepers(*samples: Said, distance: int = 2, threshold: float = 0.95) -> list[int]:
    return repeated_samples(samples, distance=distance, threshold=threshold).tolist()


def slow_reference(samples: list[Said], distance: int, threshold: float) -> list[int]:
    texts = [f"{sample.question}\n{sample.answer}" for sample in samples]
    has_words = any(character.isalnum() for text in texts for character in text)
    # Another text beside them would change how rare a word is, and so a cosine that lies at the threshold.
    vectors = TfidfVectorizer(token_pattern=r"\w+").fit_transform(texts if has_words else [*texts, "word"]).toarray()
    keeper: list[int] = []
    for i, a in enumerate(samples):
        near = [
            j
            for j, b in enumerate(samples[:i])
            if keeper[j] == j
            and (int(a.phash, 16) ^ int(b.phash, 16)).bit_count() <= distance
            and a.answer.lower() == b.answer.lower()
            and (texts[i] == texts[j] or vectors[i] @ vectors[j] >= threshold - 1e-9)
        ]
        keeper.append(min(near, default=i))
    return keeper


_PHASHES = st.integers(0, 7).map(lambda bits: f"{bits:016x}")
_QUESTIONS = st.lists(st.sampled_from(["motion", "ghost", "noise", "blur", "?"]), max_size=4).map(" ".join)
_SAID = st.builds(Said, _PHASHES, _QUESTIONS, st.sampled_from(["Yes", "yes", "No", "?"]))


@settings(deadline=None)
@given(st.lists(_SAID, max_size=20), st.integers(0, 2), st.sampled_from([0.5, 0.8, 1.0]))
def test_samples_are_kept_as_by_comparing_each_with_all_kept_before(samples, distance, threshold):
    assert keepers(*samples, distance=distance, threshold=threshold) == slow_reference(samples, distance, threshold)


def test_the_same_slice_with_another_degradation_is_no_duplicate():
    assert keepers(Said(PICTURE, QUESTION, "Noise"), Said(NEARLY, QUESTION, "Motion")) == [0, 1]


def test_nearly_the_same_picture_with_the_same_question_and_answer_is_one():
    assert keepers(Said(PICTURE, QUESTION, "Noise"), Said(NEARLY, QUESTION, "noise")) == [0, 0]
    assert keepers(Said(PICTURE, QUESTION, "Noise"), Said(NEARLY, QUESTION, "Noise"), distance=0) == [0, 1]


def test_an_answer_of_one_word_is_not_lost_in_a_long_question():
    question = " ".join(f"word{i}" for i in range(60))
    assert keepers(Said(PICTURE, question, "mild"), Said(PICTURE, question, "severe"), threshold=0.5) == [0, 1]


def test_template_questions_about_different_pictures_are_no_duplicates():
    assert keepers(*[Said(phash, QUESTION, "Noise") for phash in (PICTURE, ANOTHER, PICTURE)]) == [0, 1, 0]


def test_word_order_and_case_do_not_hide_a_duplicate():
    assert keepers(Said(PICTURE, "Motion ghosts", "Yes"), Said(PICTURE, "ghosts, MOTION", "Yes")) == [0, 0]


def test_texts_without_words_repeat_only_their_equals():
    samples = [Said(PICTURE, question, "?") for question in ("?", "motion", "?", "!", "")]
    assert keepers(*samples) == [0, 1, 0, 3, 4]
    assert keepers(*[Said(PICTURE, question, "") for question in ("?", "!", "?")]) == [0, 1, 0]
    assert keepers() == []


def test_ten_thousand_blank_pictures_are_compared_with_what_is_kept_alone():
    samples = [Said("0" * 16, QUESTION, "None")] * 10_000
    assert not np.any(repeated_samples(samples, distance=2, threshold=0.9))


@pytest.mark.parametrize("threshold", [0.0, 1.1])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(InvalidArgument):
        keepers(threshold=threshold)


def test_what_was_said_many_samples_before_is_found():
    samples = [Said(PICTURE, f"Is finding number{i % 1300} there?", "Yes") for i in range(3000)]
    found = repeated_samples(samples, distance=2, threshold=0.99)
    assert found.tolist() == [i % 1300 for i in range(3000)]
