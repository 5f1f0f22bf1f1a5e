import shutil
from collections import Counter

import pytest
import yaml

from services.oracle.adapters.bank_files import FOLDER, read_bank
from services.oracle.domain.bank import named_in, part_of, slots_of
from services.oracle.domain.prompts import answer_schema, task_text
from shared.errors import InvalidArgument
from shared.rows.vocabulary import HOW, MODALITIES, QUALITY_LADDER, UNKNOWN, WHAT, YES_NO
from studies.images.degradations import DEGRADATIONS

BANK = read_bank()
CELL = "modality:mri+attribute:motion"


def test_the_bank_has_every_modality_and_what_suits_none():
    assert set(BANK.modalities) == {*MODALITIES, UNKNOWN}
    assert tuple(BANK.common.levels) == QUALITY_LADDER
    assert all(len(one.attributes) >= 5 for one in BANK.modalities.values())


def test_a_capability_finds_its_weakness_by_name_or_by_any_word_of_it():
    assert part_of(BANK, "mri", CELL).focus == "motion"
    assert part_of(BANK, "mri", "attribute:bias_field").focus == "inhomogeneity"
    assert part_of(BANK, "mri", "").focus == part_of(BANK, "mri", "attribute:other").focus == ""


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_weaknesses_of_the_embedded_study_are_in_the_bank(modality):
    for name in set(DEGRADATIONS[modality]) - {"none"}:
        assert part_of(BANK, modality, f"attribute:{name}").focus in BANK.modalities[modality].attributes


def test_a_weakness_that_the_bank_does_not_know_is_asked_about_under_its_own_name():
    part = part_of(BANK, "ct", "attribute:venetian_blind")
    assert part.focus == "venetian_blind"
    assert part.attributes["venetian_blind"].words == ("venetian blind",)
    assert "venetian_blind" not in BANK.modalities["ct"].attributes


def test_an_image_of_unknown_modality_has_that_of_its_cell_and_else_the_part_for_unknown():
    assert part_of(BANK, "unknown", CELL).modality == "mri"
    assert part_of(BANK, "unknown", "attribute:blur").modality == UNKNOWN
    assert part_of(BANK, "dermoscopy", "").modality == UNKNOWN


@pytest.mark.parametrize("seed", range(5))
def test_each_type_is_wanted_once_before_any_twice_and_the_weakness_first(seed):
    part = part_of(BANK, "mri", CELL)
    slots, is_all = slots_of(part, 6, seed)
    assert {slot.question_type for slot in slots[:3]} == {YES_NO, WHAT, HOW}
    assert {slot.attribute for slot in slots[:3] if slot.question_type != WHAT} == {"motion"}
    assert len(set(slots)) == 6
    assert not is_all
    assert slots == slots_of(part, 6, seed)[0]


def test_no_more_questions_are_wanted_than_there_are():
    part = part_of(BANK, "mri", CELL)
    slots, is_all = slots_of(part, 100, 0)
    n = len(part.attributes)
    assert Counter(slot.question_type for slot in slots) == {YES_NO: n, WHAT: 1, HOW: n + 1}
    assert is_all


def test_the_type_that_an_image_was_drawn_for_comes_first():
    part = part_of(BANK, "mri", "question_type:how")
    assert {slots_of(part, 1, seed)[0][0].question_type for seed in range(9)} == {HOW}


def test_without_a_weakness_the_seed_chooses_and_prefers_none():
    part = part_of(BANK, "ct", "")
    asked = Counter(
        slot.attribute for seed in range(900) for slot in slots_of(part, 3, seed)[0] if slot.question_type == YES_NO
    )
    assert set(asked) == set(part.attributes)
    assert max(asked.values()) < 2 * min(asked.values())


def test_words_name_a_degradation_whatever_their_endings():
    part = part_of(BANK, "mri", "")
    assert named_in("Strong motion artifacts and ghosting", part) == {"motion"}
    assert named_in("Nothing of note", part) == set()


def test_the_weakness_is_told_by_capability_and_not_by_the_seed_rule():
    part, blind = part_of(BANK, "mri", CELL), part_of(BANK, "mri", "")
    slots, _ = slots_of(part, 3, 0)
    assert "its weakness is motion" in task_text(BANK, part, slots, "")
    assert "weakness" not in task_text(BANK, blind, slots_of(blind, 3, 0)[0], "")
    assert "could not be used: It is late." in task_text(BANK, part, slots, "It is late.")


def test_the_schema_names_the_degradations_and_allows_no_other_key():
    part = part_of(BANK, "mri", CELL)
    schema = answer_schema(part)
    assert schema["properties"]["findings"]["items"]["properties"]["attribute"]["enum"] == sorted(part.attributes)
    assert schema["required"] == ["findings", "level", "questions", "description"]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("file", "change", "field"),
    [
        ("bank", {"levels": {"bad": "x", "good": "y"}}, "levels"),
        ("bank", {"version": 0}, "bank"),
        ("mri", {"modality": "mrt"}, "modalities"),
        ("mri", {"attributes": {"motion": {"words": []}}}, "mri"),
        ("mri", {"colour": "blue"}, "mri"),
    ],
)
def test_a_bank_that_is_not_whole_is_refused_by_the_place_of_its_fault(tmp_path, file, change, field):
    folder = shutil.copytree(FOLDER, tmp_path / "bank")
    path = folder / f"{file}.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **change}))
    with pytest.raises(InvalidArgument) as caught:
        read_bank(folder)
    assert caught.value.field == field
