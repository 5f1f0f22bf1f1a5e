"""Write a study folder: phantoms with known degradations, and the questions about them, split by source.

    base.tsv    base/      what the base model is trained on: no image of the left-out cells
    pool.tsv    pool/      the unlabelled pool: image, modality, source, patient
    pool-NAME.tsv          other pools over the same images, where the plan has some
    pool_answers.tsv       what the simulated oracle and expert know about it, and nobody else
    every_answer.tsv       the same with every question that can be asked, where they choose what is asked
    dev.tsv     dev/       failures are looked for here; every cell is as common as any other
    test.tsv    test/      figures are reported on this; likewise
    replay.tsv  replay/    drawn like base, against forgetting
    study.json             the plan and what came of it; written last

A *cell* is a modality and a degradation. The left-out cells are the weakness that the loop has to find: absent from
base and replay, rare in the pool, as common as others in dev and test. Of *weak* cells the base model sees little.
Every source (seed) is in one split only, with one image.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PilImage

from shared.errors import AlreadyExists
from shared.synced import put_in_place
from studies.findings import plan_findings, pool_members, slice_of
from studies.images.degradations import degrade
from studies.images.drawing import Image
from studies.images.optics import to_bytes
from studies.images.phantoms import make_phantom
from studies.plan import SPLITS, StudyPlan
from studies.questions import LETTERS, Finding, Question, ask_all, ask_description, ask_how, ask_what, ask_yes_no

COLUMNS = (
    *("index", "image_path", "question", *LETTERS, "answer", "modality", "question_type", "attribute"),
    *("severity", "scope", "source_id", "patient_id", "split", "slice"),
)
"""Columns of every TSV: MedQ-Bench's, then ours. `attribute` is what the image shows, not what is asked about.

`slice` says of test items alone what the base model was taught of their cell: known, weak, left_out, or clean.
"""

POOL_COLUMNS = ("index", "image_path", "modality", "source_id", "patient_id")
"""Columns of the pool's manifest."""

POOL = "pool"
POOL_ANSWERS = "pool_answers.tsv"
EVERY_ANSWER = "every_answer.tsv"
Row = dict[str, str]

README = """A study made by a program. Every image here is a drawing (a phantom) with a degradation computed from
physics; nothing comes from a patient. One generator seed is one source is one patient.

pool/             the unlabelled image pool
pool.tsv          which image, modality, source and patient; no answers
pool_answers.tsv  SIMULATED: what the simulated oracle and the simulated expert know about the pool's images
every_answer.tsv  SIMULATED: the same with every question that can be asked, for runs in which they choose
dev.tsv           questions on which failures are looked for
test.tsv          questions on which figures are reported
replay.tsv        questions mixed into training against forgetting
base.tsv          questions on which the base model is trained
study.json        the plan: seed, sizes, left-out cells and how much rarer they are in the pool than in dev and test

The left-out cells (a modality and a degradation) are the weakness that was put in on purpose: the base model never
saw them. Of the weak cells it saw few images, mild ones. A gain measured here depends on how rare the left-out cells
are in the pool: state the enrichment beside it.
"""


def write_study(folder: Path, plan: StudyPlan, on_image: Callable[[int, int], None] | None = None) -> Mapping[str, Any]:
    """Write the study, or nothing where the same study is already there.

    Args:
        folder: Where to write; made if it does not exist. The split in which a call was interrupted is drawn anew.
        plan: Sizes, seed and left-out cells.
        on_image: Called with (images written, images in all) after each image.

    Returns:
        What `study.json` holds.

    Raises:
        AlreadyExists: the folder holds a study of another plan, complete or begun.
    """
    description = plan.describe()
    text = json.dumps(description, indent=2, sort_keys=True) + "\n"
    complete, begun = folder / "study.json", folder / "study.json.begun"
    for manifest in (complete, begun):
        if manifest.exists() and manifest.read_text(encoding="utf-8") != text:
            remedy = "choose another folder, or remove this one"
            raise AlreadyExists("Another study is there.", field="folder", value=folder.name, remedy=remedy)
    if complete.exists():
        return description
    folder.mkdir(parents=True, exist_ok=True)
    begun.write_text(text, encoding="utf-8")
    n_images, n_before = sum(plan.sizes.values()), 0
    for split in SPLITS:
        if not (folder / (EVERY_ANSWER if split == POOL else f"{split}.tsv")).exists():  # its last table
            for n_done in _draw_split(folder, plan, split):
                if on_image is not None:
                    on_image(n_before + n_done, n_images)
        n_before += plan.sizes[split]
    (folder / "README.txt").write_text(README, encoding="utf-8")
    begun.rename(complete)
    return description


def make_image(finding: Finding, source: int, size: int) -> Image:
    """The phantom of a source with its degradation: float64 in 0..1, (size, size) or (size, size, 3)."""
    clean = make_phantom(finding.modality, source, size)
    rng = np.random.default_rng([source, 1])
    return degrade(clean, finding.modality, finding.attribute, finding.severity, rng)


def make_questions(finding: Finding, names: Iterable[str], split: str, source: int) -> list[Question]:
    """The questions about one image: a Yes/No, as often Yes as No, a What and a How; in the pool a description too.

    So whatever an image of the pool was drawn for, and by which rule, the same is asked about it.
    """
    rng = np.random.default_rng([source, 2])
    asked = frozenset(names)
    yes_no = ask_yes_no(finding, bool(rng.random() < 0.5), asked, rng)
    described = [ask_description(finding)] if split == POOL else []
    return [yes_no, ask_what(finding, asked, rng), ask_how(finding), *described]


def as_row(question: Question, finding: Finding, ids: Mapping[str, str]) -> Row:
    """One TSV row without its index.

    Args:
        question: What is asked.
        finding: What the image shows.
        ids: image_path, source_id, patient_id, split and, of test items, slice.
    """
    options = dict(zip(LETTERS, (*question.options, "", "", ""), strict=False))
    return {
        "question": question.text,
        **options,
        "answer": question.answer,
        "modality": finding.modality,
        "question_type": question.question_type,
        "attribute": finding.attribute,
        "severity": finding.severity,
        "scope": finding.scope,
        **ids,
    }


def write_split(folder: Path, split: str, rows: Sequence[Row]) -> None:
    """Write a split's TSV; of the pool the images alone, and the answers apart."""
    if split != POOL:
        write_rows(folder / f"{split}.tsv", rows)
        return
    write_rows(folder / POOL_ANSWERS, rows)
    write_rows(folder / "pool.tsv", pool_images(rows), POOL_COLUMNS)


def pool_images(answers: Iterable[Row]) -> list[Row]:
    """Rows of the pool's manifest, one an image: nothing of what is known about it."""
    return [*{row["image_path"]: {name: row[name] for name in POOL_COLUMNS[1:]} for row in answers}.values()]


def write_rows(path: Path, rows: Iterable[Row], columns: Sequence[str] = COLUMNS) -> None:
    """Write a TSV, whole or not at all; the index, its first column, counts the rows from 0."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows({"index": str(index), **row} for index, row in enumerate(rows))
    put_in_place(partial, path)


def save_png(path: Path, image: Image) -> None:
    """Write an image in 0..1 as an 8-bit PNG, grey or RGB."""
    PilImage.fromarray(to_bytes(image)).save(path, compress_level=1)


def _draw_split(folder: Path, plan: StudyPlan, split: str) -> Iterator[int]:
    """Write a split, its tables last; after each image, how many there are."""
    (folder / split).mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    findings = plan_findings(plan, split)
    for number, finding in enumerate(findings):
        rows += _write_image(folder, plan, split, number, finding)
        yield number + 1
    write_split(folder, split, rows)
    if split == POOL:
        _write_pools(folder, plan, findings, rows)
        write_rows(folder / EVERY_ANSWER, _every_answer(plan, findings))


def _write_image(folder: Path, plan: StudyPlan, split: str, number: int, finding: Finding) -> list[Row]:
    """Write one image; its questions as TSV rows."""
    source, ids = plan.first_source(split) + number, _ids(plan, split, number, finding)
    save_png(folder / ids["image_path"], make_image(finding, source, plan.size))
    names = plan.names_asked(finding.modality, split)
    return [as_row(question, finding, ids) for question in make_questions(finding, names, split, source)]


def _every_answer(plan: StudyPlan, findings: Sequence[Finding]) -> Iterator[Row]:
    """All that can be asked about the images of the pools."""
    for number, finding in enumerate(findings):
        source, names = plan.first_source(POOL) + number, plan.names_asked(finding.modality, POOL)
        for question in ask_all(finding, names, np.random.default_rng([source, 2])):
            yield as_row(question, finding, _ids(plan, POOL, number, finding))


def _write_pools(folder: Path, plan: StudyPlan, findings: Sequence[Finding], answers: Sequence[Row]) -> None:
    """The manifest of each pool."""
    images = pool_images(answers)
    for name in plan.pools:
        members = pool_members(plan, name, findings)
        write_rows(folder / f"{name}.tsv", [images[place] for place in members], POOL_COLUMNS)


def _ids(plan: StudyPlan, split: str, number: int, finding: Finding) -> Row:
    """Where an image lies, and whose it is."""
    source = plan.first_source(split) + number
    return {
        "image_path": f"{split}/{number:06d}.png",
        "source_id": f"phantom-{source}",
        "patient_id": f"patient-{source}",
        "split": split,
        "slice": slice_of(finding, plan) if split == "test" else "",
    }
