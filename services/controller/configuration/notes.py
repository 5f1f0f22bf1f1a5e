"""What the dev set of a configuration can tell, before anything is spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from services.controller.configuration.models import RunConfiguration
from services.controller.domain.detection import detection_note
from shared.errors import InvalidArgument
from shared.rows.vocabulary import DESCRIPTION
from shared.tables import read_rows

#: A larger table holds pictures and would take long; the report tells the same of it after the first evaluation.
_MOST_BYTES = 64 * 1024 * 1024
#: What names the source of a row, the first that is not empty; at last each picture is a source of its own.
_SOURCE_COLUMNS = ("source_id", "patient_id", "image_path", "image")


def notes_on(configuration: RunConfiguration) -> list[str]:
    """Sentences for the person who starts the run.

    Args:
        configuration: With absolute paths, checked before.

    Returns: What is not read, what nobody will review, what leaves no place for replay, and the smallest gain that the dev set
        can tell, which is left out where its table cannot be read quickly.
    """
    return [*_notes_on_annotators(configuration), *_notes_on_totals(configuration), *_notes_on_dev(configuration)]


def _notes_on_annotators(configuration: RunConfiguration) -> Iterator[str]:
    if configuration.data.pool_answers and not configuration.is_simulated:
        yield "data.pool_answers is not read: neither oracle nor expert is simulated."
    unreviewed = [arm.name for arm, own in configuration.each_arm() if own.annotate.expert == "none"]
    if unreviewed:
        of = "" if len(unreviewed) == len(configuration.arms) else f" in arm {', '.join(unreviewed)}"
        yield (
            f"annotate.expert is none{of}: in round 0 the oracle's answers are adopted unreviewed, and later what needs an "
            "expert is left out. There are no reviews to fit tau_H on: where annotate.tau_entropy is not set, nothing of the "
            "model's own is adopted."
        )


def _notes_on_totals(configuration: RunConfiguration) -> Iterator[str]:
    for arm, own in configuration.each_arm():
        total, n_new = own.build.total_samples, own.select.budget * own.annotate.questions_per_image
        if total and n_new > total:
            yield (
                f"In arm {arm.name}, build.total_samples is {total}, and select.budget * annotate.questions_per_image is "
                f"{n_new} (descriptions come on top): where so many are kept, nothing is replayed, and a new sample is seen less "
                "often than where they are fewer."
            )


def _notes_on_dev(configuration: RunConfiguration) -> list[str]:
    sizes = source_sizes(Path(configuration.data.dev))
    if not sizes:
        return []
    return [detection_note(sizes, configuration.evaluate.runs, configuration.stop.excluded_gain)]


def source_sizes(table: Path) -> list[int]:
    """The questions with options of each source of a benchmark TSV, largest first; empty where it is too large or is none."""
    try:
        if table.stat().st_size > _MOST_BYTES:
            return []
        rows = read_rows(table, "table", "data.dev")
    except (InvalidArgument, OSError):  # the import says what is wrong with it
        return []
    questions = (row.cells for row in rows if row.cells.get("A") or not row.cells.get(DESCRIPTION))
    sources = Counter(next((cells[name] for name in _SOURCE_COLUMNS if cells.get(name)), "") for cells in questions)
    return sorted(sources.values(), reverse=True)
