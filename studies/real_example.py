"""Make a small study folder from real images: the user's own, or the few inside the installed wheels.

    python -m studies.real_example OUT
    python -m studies.real_example OUT --images FOLDER --modality mri

The images are degraded by the same physics as the phantoms, so the answers are known; the oracle's and the expert's
answers are simulated from them. What is taken for clean is the image as it came.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from skimage.transform import resize

from shared.errors import AlreadyExists, InvalidArgument, MedqError
from studies.demo_base import EVALUATE
from studies.folder import Row, as_row, make_questions, save_png, write_split
from studies.images.degradations import DEGRADATIONS, NONE, SEVERITIES, degrade
from studies.images.drawing import Image, clip_to_unit
from studies.images.real_images import Source, folder_sources, read_image, wheel_sources
from studies.questions import Finding
from studies.run_file import write_run_file

DEMO_MODEL = Path("out/demo/study/base-model/model")
"""Where `make demo` leaves a small trained checkpoint."""

SPLITS = ("pool", "replay", "dev", "test")

DEALS = {1: ("pool replay dev test",), 2: ("pool replay", "dev test"), 3: ("pool replay", "dev", "test")}
"""Which splits each patient serves when a modality has so few. Patients of pool and replay are kept from dev and test
where there are two; a single one has to serve all, each split another part of the image."""

#: What differs from the defaults of a run; small, for a small model on few images.
SETTINGS: dict[str, Any] = {
    "rounds": 1,
    "select": {"budget": 20, "tau_sim": 0.25},
    "train": {"learning_rate": 2e-4, "epochs": 2, "batch_size": 16},
}


def evaluation_of(model: Path) -> dict[str, Any]:
    """How the model is asked: a demo's as it was trained, any other by letters, which it writes itself."""
    is_demo = model.parts[-3:] == DEMO_MODEL.parts[-3:]
    return {"runs": 5, **(EVALUATE if is_demo else {"max_new_tokens": 4})}


VIEWS_CLEAN = 3
"""Clean views of each part; with one view for each degradation and severity about a quarter is clean."""


@dataclass(frozen=True)
class Region:
    """A part of an image that one split may use: a half or a quarter where the image serves several."""

    source: Source
    part: int
    n_parts: int

    def cut(self, image: Image) -> Image:
        """The region's pixels: parts do not overlap; halves are taken along the longer side."""
        height, width = image.shape[:2]
        if self.n_parts == 1:
            return image
        if self.n_parts == 2:
            pieces = np.array_split(image, 2, axis=0 if height >= width else 1)
        else:
            pieces = [half for row in np.array_split(image, 2, axis=0) for half in np.array_split(row, 2, axis=1)]
        return pieces[self.part]


def deal(sources: list[Source], seed: int) -> dict[str, list[Region]]:
    """Share out the sources by patient, modality by modality.

    Returns:
        Split to its regions. With four patients or more each has one split (of five, two go to the pool); with fewer,
        see `DEALS`.
    """
    regions: dict[str, list[Region]] = {split: [] for split in SPLITS}
    for modality in sorted({source.modality for source in sources}):
        of_modality = [source for source in sources if source.modality == modality]
        patients = list(dict.fromkeys(source.patient for source in of_modality))
        if len(patients) in DEALS:
            jobs = list(DEALS[len(patients)])
        else:
            order = np.random.default_rng(seed).permutation(len(patients))
            patients = [patients[int(place)] for place in order]
            turns = ("pool", "dev", "test", "replay", "pool")
            jobs = [turns[number % len(turns)] for number in range(len(patients))]
        for patient, job in zip(patients, jobs, strict=True):
            for source in (source for source in of_modality if source.patient == patient):
                for part, split in enumerate(job.split()):
                    regions[split].append(Region(source, part, len(job.split())))
    return regions


def write_example(out: Path, sources: list[Source], size: int = 96, seed: int = 0) -> dict[str, Any]:
    """Write pool, replay, dev and test with their TSVs, and say in `study.json` how few sources there are.

    Args:
        out: A folder that does not exist yet or is empty.
        sources: Real images; those that cannot be decoded are named in `study.json` and left out.
        size: Height and width of every view in pixels.
        seed: Shares out patients, cuts views, places degradations and orders options.

    Returns:
        What `study.json` holds.

    Raises:
        AlreadyExists: `out` has something in it.
        InvalidArgument: no source can be decoded.
    """
    if out.is_dir() and any(out.iterdir()):
        raise AlreadyExists("The folder is not empty.", field="out", value=out.name, remedy="Choose a new folder")
    images, unusable = decode(sources)
    usable = [source for source in sources if source.name in images]
    regions = deal(usable, seed)
    for split in SPLITS:
        (out / split).mkdir(parents=True, exist_ok=True)
        rows = write_views(out, split, regions[split], images, size, seed)
        if split == "pool":
            rows += _copy_dicom(out, regions[split], seed)
        write_split(out, split, rows)
    description = _describe(usable, regions, unusable, size, seed)
    (out / "README.txt").write_text(_readme(description), encoding="utf-8")
    manifest = json.dumps(description, indent=2, sort_keys=True)
    (out / "study.json").write_text(manifest + "\n", encoding="utf-8")
    return description


def decode(sources: list[Source]) -> tuple[dict[str, Image], dict[str, str]]:
    """The pixels by source name, and the reason for each source that has none."""
    images, unusable = {}, {}
    for source in sources:
        try:
            images[source.name] = read_image(source)
        except InvalidArgument as error:
            unusable[source.name] = error.message
    if not images:
        first = next(iter(unusable.values()), "none was given")
        raise InvalidArgument(f"No usable image: {first}", field="images", remedy="Give images that can be decoded")
    return images, unusable


def write_views(
    out: Path, split: str, regions: list[Region], images: dict[str, Image], size: int, seed: int
) -> list[Row]:
    """Every region clean and with every degradation at every severity, in an order that tells nothing.

    Args:
        out: Holds the folder of the split.
        split: Names it.
        regions: What is shown.
        images: Pixels by the name of their source.
        size: Height and width of a view in pixels.
        seed: Cuts views and degrades them.

    Returns: The questions about the views, as TSV rows.
    """
    jobs = [(region, finding) for region in regions for finding in _findings(region.source.modality)]
    order = np.random.default_rng([seed, *split.encode()]).permutation(len(jobs))
    rows: list[Row] = []
    for number, place in enumerate(order):
        region, finding = jobs[int(place)]
        rng = np.random.default_rng([seed, *split.encode(), int(place)])
        view = _view(region.cut(images[region.source.name]), size, rng)
        image = degrade(view, finding.modality, finding.attribute, finding.severity, rng)
        save_png(out / split / f"{number:06d}.png", image)
        rows += _rows(f"{split}/{number:06d}.png", split, region, finding, int(rng.integers(2**32)))
    return rows


def _findings(modality: str) -> list[Finding]:
    """What the views of one region show."""
    names = [name for name in DEGRADATIONS[modality] if name != NONE]
    degraded = [Finding(modality, name, severity) for name in names for severity in SEVERITIES]
    return [*degraded, *[Finding(modality, NONE, NONE)] * VIEWS_CLEAN]


def _view(region: Image, size: int, rng: np.random.Generator) -> Image:
    """A random square of at least four fifths of the region's shorter side, at the size of the study."""
    height, width = region.shape[:2]
    side = round(min(height, width) * rng.uniform(0.8, 1.0))
    top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
    square = region[top : top + side, left : left + side]
    resized = resize(square, (size, size), order=1, anti_aliasing=side > size)  # type: ignore[no-untyped-call]
    return clip_to_unit(resized)


def _copy_dicom(out: Path, regions: list[Region], seed: int) -> list[Row]:
    """The pool's DICOM files as they came, where dev and test use no part of them; each is a clean image."""
    rows: list[Row] = []
    for number, region in enumerate(region for region in regions if region.source.is_dicom and region.n_parts < 4):
        image_path = f"pool/dicom-{number:03d}.dcm"
        shutil.copyfile(region.source.path, out / image_path)
        finding = Finding(region.source.modality, NONE, NONE)
        rows += _rows(image_path, "pool", region, finding, seed + number)
    return rows


def _rows(image_path: str, split: str, region: Region, finding: Finding, seed: int) -> list[Row]:
    """The questions about one image as TSV rows."""
    source = region.source
    ids = {"image_path": image_path, "source_id": source.name, "patient_id": source.patient, "split": split}
    names = frozenset(DEGRADATIONS[finding.modality])
    return [as_row(question, finding, ids) for question in make_questions(finding, names, split, seed)]


def _describe(
    sources: list[Source], regions: dict[str, list[Region]], unusable: dict[str, str], size: int, seed: int
) -> dict[str, Any]:
    """What `study.json` holds: above all which source serves which splits."""

    def patients_of(split: str) -> set[str]:
        return {region.source.patient for region in regions[split]}

    serves = {
        source.name: [split for split in SPLITS if any(region.source == source for region in regions[split])]
        for source in sources
    }
    return {
        "simulated": "degradations, and the oracle's and the expert's answers; the images themselves are real",
        "seed": seed,
        "size_pixels": size,
        "n_sources": {modality: sum(s.modality == modality for s in sources) for modality in DEGRADATIONS},
        "splits_of_source": serves,
        "in_training_and_evaluation": sorted(
            name for name, splits in serves.items() if {"pool", "replay"} & {*splits} and {"dev", "test"} & {*splits}
        ),
        "dev_and_test_share_patients": bool(patients_of("dev") & patients_of("test")),
        "unusable": unusable,
    }


def _readme(description: dict[str, Any]) -> str:
    """The page that says what the folder is worth."""
    counts = ", ".join(f"{count} {modality}" for modality, count in description["n_sources"].items() if count)
    shared = ", ".join(description["in_training_and_evaluation"]) or "none"
    return f"""Real images, degraded by a program.

Sources: {counts}. That is few: figures from them say that the machinery runs, not how good a model is.
Sources whose parts serve both training (pool, replay) and evaluation (dev, test): {shared}.
A leakage gate by patient refuses those in the pool, and should.
An image is taken for clean as it came; nobody has looked for degradations that it had before.
The degradations are computed. SIMULATED: pool_answers.tsv, which stands for the oracle and the expert.
"""


def main(
    out: Annotated[Path, typer.Argument(help="The folder to write; new or empty.")],
    model: Annotated[Path, typer.Option(help="Checkpoint folder for run.yaml.")] = DEMO_MODEL,
    images: Annotated[Path | None, typer.Option(help="Your own images; one sub-folder per patient.")] = None,
    modality: Annotated[str, typer.Option(help=f"Of your images: {', '.join(DEGRADATIONS)}.")] = "mri",
    size: Annotated[int, typer.Option(help="Height and width of each view in pixels.")] = 96,
    seed: Annotated[int, typer.Option(help="The same seed gives the same folder.")] = 0,
) -> None:
    """Make a small study folder from real images."""
    try:
        sources = wheel_sources() if images is None else folder_sources(images, modality)
        description = write_example(out, sources, size, seed)
        text = "Degradations were computed on real images; what is taken for clean is the image as it came."
        # Of two patients one is trained on; then dev and test have to share the other.
        is_guarded = not description["dev_and_test_share_patients"]
        settings = {**SETTINGS, "data": {"dev_guarded": is_guarded}, "evaluate": evaluation_of(model), "seed": seed}
        write_run_file(out, "real-images", model, settings, simulated_images=text)
    except MedqError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo(_readme(description))
    for name, reason in description["unusable"].items():
        typer.echo(f"left out: {name}: {reason}", err=True)


if __name__ == "__main__":
    typer.run(main)
