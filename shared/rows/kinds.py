"""Every dataset kind on one screen: its version, who writes it, its files, and who reads each.

A new optional field keeps the version of a kind. A removed, retyped or newly required one raises it, and so does one that comes
to say something else. Readers refuse a version above theirs, and a file that says something else since a later one.
`python -m infra.row_schemas` holds this by the files in `schemas/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.errors import FailedPrecondition, InvalidArgument
from shared.rows.annotation import Decision, Generation, KnownAnswer, Question, Summary, Unanswered
from shared.rows.benchmark import Item, Rejection
from shared.rows.evaluation import Answer, Scores, Unscored
from shared.rows.failures import Anchor, CapabilityErrorRate, ClusteringRow, Failure, PrototypeRow
from shared.rows.fields import Row
from shared.rows.images import Image, Input
from shared.rows.selection import Sample, Selection
from shared.rows.training import Conversation, Dropped, Lineage, Training


@dataclass(frozen=True)
class File:
    """A file of a dataset.

    Attributes:
        content: The type of its rows (`.jsonl`) or of its one object (`.json`); in words, where it is neither.
        readers: Who reads it beside people and other systems.
        since: The version of the kind since which it says what it says now; an earlier one is not read.
        names_inputs: Whether it says the names of files or rows that people gave, which may be a patient's.
    """

    content: type[Row] | str
    readers: tuple[str, ...] = ()
    since: int = 1
    names_inputs: bool = False


@dataclass(frozen=True)
class Kind:
    """What a dataset kind holds.

    Attributes:
        writer: The service that makes it.
        purpose: What it is for, in a sentence.
        files: File name, or a pattern of names, to what is in it.
        version: Of its rows; raised by a break.
    """

    writer: str
    purpose: str
    files: Mapping[str, File]
    version: int = 1


_ALL = ("retrieval", "evaluation", "training")
KINDS: Mapping[str, Kind] = {
    "image-set": Kind("embedding", "What an ingest stored.", {
        "images.jsonl": File(Image, _ALL),
        "report.jsonl": File(Input, ("evaluation", "cli"), names_inputs=True),
        "vectors.npy": File("(n, d) float32 of unit norm, row by row with `images.jsonl`", ("retrieval", "evaluation")),
    }),
    "benchmark": Kind("evaluation", "Questions with known answers about stored images.", {
        "items.jsonl": File(Item, ("evaluation", "oracle", "training", "controller")),
        "report.jsonl": File(Rejection, ("cli",), names_inputs=True),
    }, version=2),
    "evaluation": Kind("evaluation", "What a model answered to a benchmark, and how it scored.", {
        "answers.jsonl": File(Answer, ("evaluation", "controller")),
        "scores.json": File(Scores, ("controller", "cli"), since=2),
        "unscored.jsonl": File(Unscored, ("cli",)),
    }, version=3),
    "failures": Kind("evaluation", "Where a model fails.", {
        "failures.jsonl": File(Failure, ("controller",)),
        "capabilities.jsonl": File(CapabilityErrorRate, ("retrieval", "controller")),
        "prototypes.jsonl": File(PrototypeRow, ("retrieval", "controller")),
        "prototypes.npy": File("(p, d) float32 of unit norm, row by row with `prototypes.jsonl`", ("retrieval",)),
        "anchors.jsonl": File(Anchor, ("retrieval",)),
        "anchors.npy": File("(a, d) float32 of unit norm, row by row with `anchors.jsonl`", ("retrieval",)),
        "clustering.json": File(ClusteringRow),
    }),
    "selection": Kind("retrieval", "Which pool images were drawn.", {
        "samples.jsonl": File(Sample, ("oracle", "controller")),
        "selection.json": File(Selection, ("controller",)),
    }),
    "known-answers": Kind("oracle", "What the simulated oracle and expert know.", {
        "answers.jsonl": File(KnownAnswer, ("oracle",)),
    }, version=2),
    "questions": Kind("oracle", "Questions for a model to answer freely.", {"questions.jsonl": File(Question, ("evaluation",))}),
    "generations": Kind("evaluation", "What a model answered to questions.", {
        "generations.jsonl": File(Generation, ("oracle",)),
    }),
    "decisions": Kind("oracle", "Whose answer was adopted for which question.", {
        "decisions.jsonl": File(Decision, ("training", "controller")),
        "unanswered.jsonl": File(Unanswered, ("controller",)),
        "summary.json": File(Summary, ("controller",)),
    }, version=2),
    "dataset": Kind("training", "What a model is trained on.", {
        "train.jsonl": File(Conversation, ("training", "cli")),
        "lineage.jsonl": File(Lineage, ("training", "controller", "cli")),
        "dropped.jsonl": File(Dropped, ("controller", "cli")),
        "dataset_info.json": File("the description that LLaMA-Factory reads"),
        "data/*.parquet": File("the samples of `train.jsonl` with their images, for Hugging Face `datasets`"),
        "README.md": File("the dataset card"),
        "images/*.png": File("the images, named by their id", ("training", "cli")),
    }),
    "model": Kind("training", "A model to evaluate and to train further.", {
        "training.json": File(Training, ("controller",)),
        "*": File("a Hugging Face checkpoint folder", ("evaluation", "training")),
    }),
    "checkpoint": Kind("training", "Where the next pod of a training goes on.", {
        "*": File("a checkpoint folder of the trainer", ("training",)),
    }),
    "report": Kind("controller", "What a run showed.", {
        "report.json": File("docs/report.schema.json", ("cli",)),
        "report.html": File("the page"),
        "answers.jsonl": File(Answer),
    }, version=2),
}  # fmt: skip
_PLACES = {
    file.content: (kind, name)
    for kind, of in reversed(list(KINDS.items()))  # the first of two places counts
    for name, file in of.files.items()
    if not isinstance(file.content, str)
}


def place_of(row: type[Row]) -> tuple[str, str]:
    """The kind and the file that hold rows of this type."""
    return _PLACES[row]


def row_type(kind: str, name: str) -> type[Row] | None:
    """What the rows of a file are; None where it holds no rows that are described here."""
    file = KINDS[kind].files.get(name) if kind in KINDS else None
    return None if file is None or isinstance(file.content, str) else file.content


def names_inputs(kind: str, name: str) -> bool:
    """Whether a file of a dataset says the names of what people gave; False where it is not described here."""
    file = KINDS[kind].files.get(name) if kind in KINDS else None
    return file is not None and file.names_inputs


def version_of(kind: str) -> int:
    """The version that this code writes and, with those below, reads.

    Raises:
        InvalidArgument: There is no such kind.
    """
    if kind not in KINDS:
        raise InvalidArgument(
            "There is no such dataset kind.", field="kind", value=kind, remedy=f"One of {', '.join(KINDS)}."
        )
    return KINDS[kind].version


def require_readable(kind: str, version: int, uri: str, name: str = "") -> None:
    """Refuse rows that a later release wrote, and a file that said something else in an earlier one.

    Args:
        kind, version: Of the dataset.
        uri: The dataset.
        name: The file that is to be read; "": none yet.

    Raises:
        FailedPrecondition: The version is above the one that this code knows, or below the `since` of the file.
    """
    known, file = version_of(kind), KINDS[kind].files.get(name)
    if version > known:
        raise FailedPrecondition(
            f"The dataset is {kind} version {version}; this release reads up to version {known}.",
            field="uri",
            value=uri,
            remedy="Update this installation, or make the dataset again with it.",
        )
    if file is not None and version < file.since:
        raise FailedPrecondition(
            f"The dataset is {kind} version {version}; its {name} says something else since version {file.since}.",
            field="uri",
            value=uri,
            remedy="Make the dataset again.",
        )
