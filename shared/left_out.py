"""What an ingest or an import left out, by reason: counts alone, since the name of a file or a row may be a patient's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from shared.folders import HIDDEN
from shared.rows.benchmark import Rejection
from shared.rows.images import DICOMDIR, OTHER_FILE, OTHER_PART, SAME_FILE, STRUCTURED_REPORT, Input, part_of

DUPLICATE, OTHER_SPLIT, REJECTED, HIDDEN_FILE, NO_IMAGE = "duplicate", "other_split", "rejected", "hidden", "no_image"
#: What was left out on purpose; all else is a loss.
_CHOICES = frozenset({DUPLICATE, OTHER_SPLIT, HIDDEN_FILE, NO_IMAGE})
#: What was never meant to be in the set, and counts for nothing in its size.
_NOT_OF_THE_SET = frozenset({OTHER_SPLIT, HIDDEN_FILE, NO_IMAGE})
#: Reasons that are told one by one; the rarer ones are counted together.
MOST_REASONS = 10
#: Reasons of inputs that were never meant to be images, and the word for each.
_MEANT = {HIDDEN: HIDDEN_FILE, DICOMDIR: NO_IMAGE, STRUCTURED_REPORT: NO_IMAGE}
_Why = tuple[str, str, str]


@dataclass(frozen=True)
class LeftOut:
    """Inputs or rows that were left out for one reason.

    Attributes:
        outcome: `failed`, `quarantined`, `duplicate`, `hidden` or `no_image` of images; `rejected` or `other_split` of rows.
        reason: Why.
        remedy: What can be done about it; "" for nothing.
        n: How many.
    """

    outcome: str
    reason: str
    remedy: str
    n: int

    @property
    def is_loss(self) -> bool:
        """Whether somebody should mend it.

        A repeated picture, a hidden file, what an archive writes beside images, or a row of another split, is as it should be.
        """
        return self.outcome not in _CHOICES


@dataclass(frozen=True)
class SetFacts:
    """What became of one set that was brought in.

    Attributes:
        name: `pool`, `pool_answers`, `dev`, `test` or `replay`.
        unit: `images` or `rows`.
        n: How many there were, those that were left out by choice and are not in the set not counted.
        left_out: By reason, the most frequent first.
    """

    name: str
    unit: str
    n: int
    left_out: tuple[LeftOut, ...] = ()

    @property
    def lost(self) -> int:
        """How many were lost."""
        return sum(one.n for one in self.left_out if one.is_loss)

    @property
    def lost_share(self) -> float:
        """Lost of all, 0..1."""
        return self.lost / self.n if self.n else 0.0


def facts_of(name: str, unit: str, rows: Iterable[Input | Rejection], n_items: int = 0) -> SetFacts:
    """Count what became of a set.

    Args:
        name: Of the set.
        unit: `images` or `rows`.
        rows: `report.jsonl` of its image set, which has every input, or of its benchmark, which has the rows that are no item.
        n_items: The rows that are items.

    Returns: The facts; a file that several rows of a manifest name counts once, and so does each image of a file.
    """
    counts: Counter[_Why] = Counter()
    seen: set[int] = set()  # of a million paths the hashes alone
    n = n_items
    for row in rows:
        if isinstance(row, Input) and row.image_path:
            picture = hash((row.image_path, part_of(row.name)))
            if picture in seen:
                continue
            seen.add(picture)
        why = _why(row)
        n += why is None or why[0] not in _NOT_OF_THE_SET
        if why is not None:
            counts[why] += 1
    return SetFacts(name, unit, n, _by_reason(counts))


def is_lost(row: Input | Rejection) -> bool:
    """Whether an input or a row is one that somebody should mend."""
    why = _why(row)
    return why is not None and why[0] not in _CHOICES


def outcome_of(row: Input) -> str:
    """What became of an input in a word: its status, or why it is no image that was meant to be taken in."""
    return _MEANT.get(row.reason, row.status)


def _why(row: Input | Rejection) -> _Why | None:
    """Outcome, reason and remedy of what is in no set; None for a stored image, also where several rows name its file."""
    if isinstance(row, Rejection):
        return (OTHER_SPLIT, row.reason, "") if row.is_of_another_split else (REJECTED, row.reason, row.remedy)
    if row.status == "stored" or (row.status == DUPLICATE and row.reason.startswith(SAME_FILE)):
        return None
    if row.status == DUPLICATE:
        return DUPLICATE, OTHER_PART if row.reason.startswith(OTHER_PART) else OTHER_FILE, ""
    return outcome_of(row), row.reason, row.remedy


def _by_reason(counts: Counter[_Why]) -> tuple[LeftOut, ...]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    told = [LeftOut(*why, n) for why, n in ordered[:MOST_REASONS]]
    others: Counter[str] = Counter()
    for (outcome, *_), n in ordered[MOST_REASONS:]:
        others[outcome] += n
    return (*told, *(LeftOut(outcome, "other reasons", "", n) for outcome, n in sorted(others.items())))
