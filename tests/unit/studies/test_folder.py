from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from shared.errors import AlreadyExists, InvalidArgument
from shared.quality_level import closing_level
from studies import encoder_constants
from studies.findings import plan_findings
from studies.folder import COLUMNS, EVERY_ANSWER, write_study
from studies.images import severities
from studies.images.degradations import DEGRADATIONS, NONE
from studies.plan import (
    CELLS,
    DEFAULT_LEFT_OUT,
    RESERVED_SEED,
    SOURCES_PER_SPLIT,
    SPLITS,
    TAUGHT,
    TAUGHT_CLEAN_RATIO,
    WEAK_RARITY,
    Pool,
    StudyPlan,
    draw_cells,
)
from studies.questions import LEVELS, N_WHATS, PHRASES

SMALL = StudyPlan(n_base=30, n_pool=40, n_dev=20, n_test=20, n_replay=12, size=32)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    write_study(folder, SMALL)
    return folder


def read_rows(folder: Path, split: str) -> list[dict[str, str]]:
    return read_tsv(folder / ("pool_answers.tsv" if split == "pool" else f"{split}.tsv"))


def read_tsv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_plan_gives_the_same_bytes(study: Path, tmp_path: Path) -> None:
    write_study(tmp_path, SMALL)
    assert digest(tmp_path) == digest(study)


def test_an_interrupted_study_is_completed_to_the_same_bytes(study: Path, tmp_path: Path) -> None:
    def stop(n_done: int, n_images: int) -> None:
        if n_done == n_images // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_study(tmp_path, SMALL, stop)
    assert not (tmp_path / "study.json").exists()
    with pytest.raises(AlreadyExists):
        write_study(tmp_path, StudyPlan(n_pool=5, size=32))
    drawn: list[int] = []
    write_study(tmp_path, SMALL, lambda n_done, _: drawn.append(n_done))
    assert digest(tmp_path) == digest(study)
    assert drawn[-1] == sum(SMALL.sizes.values()) > len(drawn)


def test_a_complete_study_is_not_written_again(study: Path) -> None:
    calls: list[int] = []
    write_study(study, SMALL, lambda n_done, _: calls.append(n_done))
    assert calls == []


def test_another_plan_in_the_same_folder_is_refused(study: Path) -> None:
    with pytest.raises(AlreadyExists):
        write_study(study, StudyPlan(seed=1, size=32))


def test_every_split_has_its_images_and_questions(study: Path) -> None:
    for split in SPLITS:
        rows = read_rows(study, split)
        assert tuple(rows[0]) == COLUMNS
        assert split == "pool" or len(rows) == SMALL.sizes[split] * 3
        assert [row["index"] for row in rows] == [str(number) for number in range(len(rows))]
        assert {row["split"] for row in rows} == {split}
        assert {row["image_path"] for row in rows} == {
            str(path.relative_to(study)) for path in (study / split).glob("*.png")
        }
        for row in rows:
            with Image.open(study / row["image_path"]) as image:
                assert image.size == (32, 32)
                assert image.mode == ("L" if row["modality"] in ("mri", "ct") else "RGB")


def test_every_answer_in_the_folder_is_right(study: Path) -> None:
    for row in (row for split in SPLITS for row in read_rows(study, split)):
        answer = row.get(row["answer"], "")
        shown = PHRASES[row["modality"]][row["attribute"]]
        if row["question_type"] == "description":
            assert row["answer"].lower().startswith(f"{shown}. ")
            assert closing_level(row["answer"]) == LEVELS[row["severity"]].lower()
        elif row["question_type"] == "how":
            assert answer == LEVELS[row["severity"]]
        elif row["question_type"] == "what":
            assert answer.lower() == shown
        elif "free" in row["question"]:
            assert (answer == "Yes") == (row["attribute"] == NONE)
        else:
            assert (answer == "Yes") == row["question"].endswith(f" {shown}?")


def test_of_a_pool_image_the_same_is_asked_whatever_it_was_drawn_for(study: Path) -> None:
    asked = Counter((row["image_path"], row["question_type"]) for row in read_rows(study, "pool"))
    assert set(asked.values()) == {1}
    assert {kind for _, kind in asked} == {"yes_no", "what", "how", "description"}


def test_among_every_answer_each_yes_no_question_is_known_and_one_of_them_is_yes(study: Path) -> None:
    known: dict[str, list[dict[str, str]]] = {}
    for row in read_tsv(study / EVERY_ANSWER):
        known.setdefault(row["image_path"], []).append(row)
    assert known.keys() == {row["image_path"] for row in read_rows(study, "pool")}
    for rows in known.values():
        yes_no = [row for row in rows if row["question_type"] == "yes_no"]
        assert len({row["question"] for row in yes_no}) == len(yes_no) == len(PHRASES[rows[0]["modality"]])
        assert [row[row["answer"]] for row in yes_no].count("Yes") == 1
        whats = [tuple(row[letter] for letter in "ABCD") for row in rows if row["question_type"] == "what"]
        assert 1 <= len(set(whats)) == len(whats) <= N_WHATS
        assert [row["question_type"] for row in rows].count("how") == 1


def test_no_source_patient_or_image_is_in_two_splits(study: Path) -> None:
    for column in ("source_id", "patient_id", "image_path"):
        owners = [{row[column] for row in read_rows(study, split)} for split in SPLITS]
        assert len(set().union(*owners)) == sum(len(owner) for owner in owners)
    digests = [value for name, value in digest(study).items() if name.endswith(".png")]
    assert len(set(digests)) == len(digests)


def test_two_seeds_share_no_source() -> None:
    ranges = [StudyPlan(seed=seed).first_source(split) for seed in range(5) for split in SPLITS]
    assert np.diff(sorted(ranges)).min() >= 10_000_000


def test_left_out_cells_are_absent_from_base_rare_in_the_pool_and_as_common_as_others_in_dev_and_test() -> None:
    plan = StudyPlan(n_base=300, n_pool=300, n_dev=520, n_test=520, n_replay=300)
    share = {}
    for split in SPLITS:
        findings = plan_findings(plan, split)
        share[split] = np.mean([(f.modality, f.attribute) in DEFAULT_LEFT_OUT for f in findings])
        clean_ratio = TAUGHT_CLEAN_RATIO if split in TAUGHT else plan.clean_ratio
        assert np.mean([f.is_clean for f in findings]) == pytest.approx(clean_ratio, abs=0.011)
        assert set(Counter(f.modality for f in findings if not f.is_clean)) == set(DEGRADATIONS)
    assert share == {"base": 0.0, "pool": 0.1, "dev": 162 / 520, "test": 162 / 520, "replay": 0.0}
    shown = Counter((f.modality, f.attribute, f.severity) for f in plan_findings(plan, "test") if not f.is_clean)
    assert set(shown.values()) == {9}


def test_of_a_weak_cell_the_base_is_shown_a_tenth_and_mild_images_alone() -> None:
    plan = StudyPlan(n_base=2000, weak=frozenset({("ct", "metal")}))
    shown = Counter((f.modality, f.attribute, f.severity) for f in plan_findings(plan, "base"))
    assert shown["ct", "metal", "severe"] == 0
    ordinary = shown["mri", "noise", "mild"] + shown["mri", "noise", "severe"]
    assert shown["ct", "metal", "mild"] == pytest.approx(ordinary / WEAK_RARITY, abs=2)
    in_pool = Counter((f.modality, f.attribute, f.severity) for f in plan_findings(plan, "pool"))
    assert in_pool["ct", "metal", "severe"] == pytest.approx(in_pool["mri", "noise", "severe"], abs=1)


@given(st.integers(0, 10_000).filter(lambda seed: seed != RESERVED_SEED))
def test_a_seed_draws_left_out_and_weak_cells_that_a_plan_can_have(seed: int) -> None:
    left_out, weak = draw_cells(seed)
    assert (len(left_out), len(weak)) == (8, 3)
    assert (left_out, weak) == draw_cells(seed)
    StudyPlan(seed=seed, left_out=left_out, weak=weak)


def test_every_cell_is_left_out_by_some_seed() -> None:
    assert set().union(*(draw_cells(seed)[0] for seed in range(60))) == set(CELLS)


def test_pools_share_images_and_have_each_its_part_of_left_out_ones(tmp_path: Path) -> None:
    plan = StudyPlan(
        n_base=0, n_pool=40, n_dev=0, n_test=30, n_replay=0, size=32,
        other_pools=(("half", Pool(20, 0.5)), ("ideal", Pool(12, 1.0))),
    )  # fmt: skip
    told = write_study(tmp_path, plan)["pools"]
    cells = {row["image_path"]: (row["modality"], row["attribute"]) for row in read_rows(tmp_path, "pool")}
    assert len(cells) == 36 + 12
    for name, n_images, n_left_out in (("pool", 40, 4), ("pool-half", 20, 10), ("pool-ideal", 12, 12)):
        paths = [row["image_path"] for row in read_tsv(tmp_path / f"{name}.tsv")]
        assert len(set(paths)) == len(paths) == n_images
        assert sum(cells[path] in DEFAULT_LEFT_OUT for path in paths) == n_left_out == told[name]["n_left_out"]


def test_every_known_cell_is_in_base_at_both_severities() -> None:
    shown = {(f.modality, f.attribute, f.severity) for f in plan_findings(StudyPlan(n_base=300), "base")}
    known = [cell for modality in DEGRADATIONS for cell in StudyPlan().known_cells(modality)]
    assert {(*cell, severity) for cell in known for severity in ("mild", "severe")} <= shown


def test_base_and_replay_never_name_a_left_out_cell(study: Path) -> None:
    assert not [row for split in TAUGHT for row in read_rows(study, split) if names_a_left_out_cell(row)]
    assert [row for row in read_rows(study, "test") if names_a_left_out_cell(row)]


def names_a_left_out_cell(row: dict[str, str]) -> bool:
    text = " ".join(row[column] for column in ("question", "A", "B", "C", "D")).lower()
    return any(row["modality"] == modality and PHRASES[modality][name] in text for modality, name in DEFAULT_LEFT_OUT)


def test_study_json_states_the_enrichment_and_what_is_simulated(study: Path) -> None:
    description = json.loads((study / "study.json").read_text())
    assert description["enrichment_of_test_over_pool"] == pytest.approx(3.0)
    assert "phantoms" in description["simulated"]
    assert description["splits"]["pool"] == {"n_images": 40, "n_left_out": 4, "n_clean": 4}
    assert "SIMULATED" in (study / "README.txt").read_text()


def test_without_left_out_cells_there_is_no_enrichment() -> None:
    plan = StudyPlan(left_out=frozenset())
    assert plan.enrichment is None
    assert plan.n_left_out("dev") == 0
    assert len(plan_findings(plan, "dev")) == plan.n_dev


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_pool": -1},
        {"seed": -1},
        {"size": 16},
        {"rare_ratio": 1.5},
        {"weak": frozenset({("ct", "rings")})},
        {"clean_ratio": -0.1},
        {"left_out": frozenset({("ct", "bubbles")})},
        {"left_out": frozenset({("ct", NONE)})},
        {"left_out": frozenset({("ct", "rings"), ("ct", "metal"), ("ct", "noise")})},
    ],
)
def test_a_plan_that_cannot_be_drawn_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        StudyPlan(**wrong)


def test_no_study_draws_the_phantoms_that_encoder_and_severities_were_computed_from() -> None:
    plan = StudyPlan(seed=RESERVED_SEED - 1)
    last_before = plan.first_source(SPLITS[-1]) + SOURCES_PER_SPLIT - 1
    first_after = StudyPlan(seed=RESERVED_SEED + 1).first_source(SPLITS[0])
    used = (encoder_constants.FIRST_SEED, severities.FIRST_SEED)
    assert all(last_before < first and first + SOURCES_PER_SPLIT <= first_after for first in used)
    with pytest.raises(InvalidArgument, match="severities"):
        StudyPlan(seed=RESERVED_SEED)
