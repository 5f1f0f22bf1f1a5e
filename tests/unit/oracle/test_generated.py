import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from services.oracle.adapters.bank_files import read_bank
from services.oracle.domain import generated
from services.oracle.domain.bank import Slot, part_of
from services.oracle.domain.generated import UselessError, proposals_of, shuffled
from shared.prompts import DESCRIPTION_QUESTION
from tests.support.oracle_answers import answer_to

PART = part_of(read_bank(), "mri", "modality:mri+attribute:motion")
SLOTS = (Slot("yes_no", "motion"), Slot("what", ""), Slot("how", "motion"), Slot("how", ""))
YES_NO, WHAT, SEVERITY, LEVEL = range(4)


def proposals(text, slots=SLOTS, key="k"):
    return proposals_of(text, PART, slots, key)


def changed(place, seen="motion", **changes):
    """An answer of which one question is changed."""
    body = json.loads(answer_to(SLOTS, seen))
    body["questions"][place] |= changes
    return json.dumps(body)


def test_a_whole_answer_becomes_its_questions_and_a_description():
    found = proposals(answer_to(SLOTS, "motion", "severe", "reject"))
    assert [one.template.question_type for one in found] == ["yes_no", "what", "how", "how", "description"]
    right = [one.template.options.get(one.answer) for one in found]
    assert right == ["Yes", "Motion", "Severe", "Reject", None]
    assert [one.template.attribute for one in found] == ["motion", "motion", "motion", "", "motion"]
    assert found[-1].template.question == DESCRIPTION_QUESTION
    assert found[-1].answer.endswith("Overall, the quality of this image is reject.")


def test_an_answer_in_a_fence_of_code_is_read():
    text = answer_to(SLOTS, "motion")
    assert proposals(f"```json\n{text}\n```") == proposals(text)


def test_another_degradation_than_the_weakness_may_be_what_is_there():
    found = proposals(answer_to(SLOTS, "noise"))
    assert [one.template.options.get(one.answer) for one in found[:3]] == ["No", "Noise", "None"]
    assert found[-1].template.attribute == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no JSON", generated.NO_OBJECT),
        ("[]", generated.NO_OBJECT),
        ("{" * 100_000, generated.NO_OBJECT),
        ("[" * 50_000, generated.NO_OBJECT),
        (answer_to(SLOTS, "motion", level="fine"), generated.NO_OBJECT),
        (answer_to(SLOTS, "motion", "awful"), generated.NO_OBJECT),
        (answer_to(SLOTS, "sadness"), generated.UNKNOWN_ATTRIBUTE),
        (
            answer_to(SLOTS, "motion", findings=[{"attribute": "motion", "severity": "mild"}] * 2),
            generated.REPEATED_FINDING,
        ),
        (answer_to(SLOTS[:3], "motion"), generated.OTHER_QUESTIONS),
        (answer_to(SLOTS[::-1], "motion"), generated.OTHER_QUESTIONS),
        (changed(YES_NO, attribute="noise"), generated.OTHER_QUESTIONS),
        (changed(YES_NO, question="Does it show noise?"), generated.OTHER_QUESTIONS),
        (changed(YES_NO, options=["Yes", "Maybe"]), generated.OTHER_OPTIONS),
        (changed(YES_NO, question="Is it free of motion?"), generated.TURNED_ROUND),
        (changed(WHAT, options=["Motion"]), generated.OPTIONS),
        (changed(WHAT, options=["Motion", "motion "]), generated.OPTIONS),
        (changed(WHAT, options=["Motion", "a", "b", "c", "d", "e"]), generated.OPTIONS),
        (changed(WHAT, answer="Noise"), generated.NOT_AN_OPTION),
        (changed(WHAT, question="What?"), generated.LENGTH),
        (changed(WHAT, question="What " * 100), generated.LENGTH),
        (changed(WHAT, attribute="sadness"), generated.UNKNOWN_ATTRIBUTE),
        (changed(SEVERITY, options=["None", "Severe"], answer="Severe"), generated.OTHER_OPTIONS),
        (changed(LEVEL, question="How severe is motion?"), generated.SAME_QUESTION),
        (answer_to(SLOTS, "motion", description="Short."), generated.LENGTH),
        (answer_to(SLOTS, "motion", description="Long enough and yet without a level of quality."), generated.NO_LEVEL),
    ],
)
def test_a_malformed_answer_is_of_no_use_and_the_reason_is_one_of_a_few(text, reason):
    with pytest.raises(UselessError) as caught:
        proposals(text)
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (changed(YES_NO, answer="No"), generated.YES_NO_CONTRADICTS),
        (changed(YES_NO, seen="noise", answer="Yes"), generated.YES_NO_CONTRADICTS),
        (changed(WHAT, answer="None of these", attribute=""), generated.WHAT_CONTRADICTS),
        (changed(WHAT, attribute="noise"), generated.WHAT_CONTRADICTS),
        (changed(WHAT, options=["Noise", "Motion"], answer="Noise"), generated.WHAT_CONTRADICTS),
        (changed(SEVERITY, answer="Severe"), generated.HOW_CONTRADICTS),
        (changed(LEVEL, answer="Good"), generated.HOW_CONTRADICTS),
        (
            answer_to(SLOTS, "motion", level="usable").replace("image is usable", "image is good"),
            generated.LEVEL_CONTRADICTS,
        ),
        (answer_to(SLOTS, "motion", "severe", "good"), generated.FINDINGS_CONTRADICT),
        (answer_to(SLOTS, "motion", level="reject", findings=[]), generated.FINDINGS_CONTRADICT),
    ],
)
def test_an_answer_that_contradicts_itself_is_of_no_use(text, reason):
    with pytest.raises(UselessError) as caught:
        proposals(text)
    assert str(caught.value) == reason


@given(
    st.text(max_size=300)
    | st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["findings", "level", "questions", "description", "x"]), inner)
        ),
    ).map(json.dumps)
)
def test_whatever_an_oracle_says_is_read_or_of_no_use(text):
    with pytest.raises(UselessError):
        proposals(text)


def test_the_right_letter_is_uniform_whatever_the_oracle_put_first():
    options = ["Right", "b", "c", "d"]
    letters = [
        next(letter for letter, text in shuffled(options, 0, image, "What?").items() if text == "Right")
        for image in range(4000)
    ]
    assert stats.chisquare([letters.count(letter) for letter in "ABCD"]).pvalue > 1e-4
    assert shuffled(options, 7, "i", "q") == shuffled(options[::-1], 7, "i", "q")
    assert list(shuffled(options, 1)) == list("ABCD")
    assert set(shuffled(options, 1).values()) == set(options)


def test_control_characters_and_line_breaks_do_not_enter_a_question():
    found = proposals(changed(WHAT, question="What\n is\x00 wrong\u202e here?"))
    assert found[1].template.question == "What is wrong here?"
