from __future__ import annotations

import numpy as np
import pytest

from shared.errors import InvalidArgument
from studies.images.degradations import DEGRADATIONS, NONE
from studies.questions import LETTERS, LEVELS, PHRASES, Finding, Question, ask_how, ask_what, ask_yes_no

FINDINGS = [
    Finding(modality, name, severity)
    for modality, names in DEGRADATIONS.items()
    for name in names
    for severity in ((NONE,) if name == NONE else ("mild", "severe"))
]


def right_option(question: Question) -> str:
    return question.options[LETTERS.index(question.answer)]


def test_every_degradation_has_its_own_phrase() -> None:
    for modality, names in DEGRADATIONS.items():
        assert list(PHRASES[modality]) == list(names)
        assert len(set(PHRASES[modality].values())) == len(names)


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda f: f"{f.modality}-{f.attribute}-{f.severity}")
def test_the_answer_is_what_is_known_of_the_image(finding: Finding) -> None:
    rng = np.random.default_rng(0)
    shown = PHRASES[finding.modality][finding.attribute]
    for _ in range(20):
        yes = ask_yes_no(finding, True, set(DEGRADATIONS[finding.modality]), rng)
        no = ask_yes_no(finding, False, set(DEGRADATIONS[finding.modality]), rng)
        what = ask_what(finding, set(DEGRADATIONS[finding.modality]), rng)
        assert right_option(yes) == "Yes"
        assert yes.text == (
            "Is this image free of visible degradation?" if finding.is_clean else f"Does this image show {shown}?"
        )
        assert right_option(no) == "No"
        assert no.text != yes.text
        assert right_option(what).lower() == shown.lower()
        assert len(set(what.options)) == 4
        assert right_option(ask_how(finding)) == LEVELS[finding.severity]


def test_options_stand_in_one_order() -> None:
    rng = np.random.default_rng(0)
    for finding in FINDINGS:
        names = set(DEGRADATIONS[finding.modality])
        assert ask_yes_no(finding, True, names, rng).options == ("Yes", "No")
        assert ask_how(finding).options == ("Good", "Usable", "Reject")
        phrases = [phrase.lower() for phrase in PHRASES[finding.modality].values()]
        places = [phrases.index(option.lower()) for option in ask_what(finding, names, rng).options]
        assert places == sorted(places)


def test_both_forms_of_yes_no_are_balanced_where_a_fifth_is_clean() -> None:
    rng = np.random.default_rng(0)
    yes = {"free": 0, "show": 0}
    count = {"free": 0, "show": 0}
    for turn in range(8000):
        name = NONE if turn % 5 == 0 else str(rng.choice(list(DEGRADATIONS["ct"])[1:]))
        finding = Finding("ct", name, NONE if name == NONE else "mild")
        question = ask_yes_no(finding, bool(rng.random() < 0.5), set(DEGRADATIONS["ct"]), rng)
        form = "free" if "free" in question.text else "show"
        count[form] += 1
        yes[form] += right_option(question) == "Yes"
    assert abs(yes["free"] / count["free"] - 0.5) < 0.04
    assert abs(yes["show"] / count["show"] - 0.5) < 0.04


def test_only_the_allowed_names_are_asked_about() -> None:
    rng = np.random.default_rng(0)
    finding = Finding("mri", "motion", "severe")
    allowed = {"motion", "noise", "inhomogeneity"}
    texts = set()
    for _ in range(50):
        texts |= set(ask_what(finding, allowed, rng).options) | {ask_yes_no(finding, False, allowed, rng).text}
    assert not any("aliasing" in text or "void" in text for text in texts)


def test_too_few_wrong_options_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="Too few options"):
        ask_what(Finding("ct", "noise", "mild"), {"rings"}, np.random.default_rng(0))
    with pytest.raises(InvalidArgument, match="Nothing to ask"):
        ask_yes_no(Finding("ct", "noise", "mild"), False, {"noise"}, np.random.default_rng(0))


@pytest.mark.parametrize(
    "parts", [("pet", "noise", "mild"), ("ct", "bubbles", "mild"), ("ct", "noise", NONE), ("ct", NONE, "mild")]
)
def test_a_finding_that_cannot_be_is_refused(parts: tuple[str, str, str]) -> None:
    with pytest.raises(InvalidArgument):
        Finding(*parts)


def test_a_degradation_of_one_modality_is_modality_specific() -> None:
    assert Finding("ct", "rings", "mild").scope == "modality_specific"
    assert Finding("ct", "noise", "mild").scope == "general"
    assert Finding("ct", NONE, NONE).scope == "general"
