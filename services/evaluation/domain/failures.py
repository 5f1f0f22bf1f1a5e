"""Which items are failures, and how often each capability fails (Eq. 1). It knows nothing of answers or texts.

Three outcomes, never two: a run is right, wrong (as is a reply that cannot be read) or could not be evaluated, and an item is a
failure, not a failure, or UNSCORED. What we could not evaluate is neither right nor wrong and enters no rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from shared.errors import InvalidArgument
from shared.rows.failures import CapabilityErrorRate


def error_rate(correct: Sequence[bool | None]) -> float:
    """The share of wrong answers in [0, 1] among an item's evaluated runs.

    Args:
        correct: One entry a run: right, wrong (as is a reply that cannot be read), or None where we could not evaluate it. One at
            least is not None.
    """
    evaluated = [outcome for outcome in correct if outcome is not None]
    return evaluated.count(False) / len(evaluated)


def is_failure(correct: Sequence[bool | None], *, gamma: float, n_runs: int) -> bool | None:
    """Whether the item belongs to the failure pool B: its error rate is strictly above gamma.

    The comparison is of whole numbers with gamma read as the decimal fraction that was written, so 3 wrong of 5 is not
    above 0.6 even where 0.6 came through a 32-bit field; 4 of 5 is.

    Args:
        correct: At most `n_runs` entries, as for `error_rate`.
        gamma: Failure threshold, 0 <= gamma < 1 (paper: 0.6).
        n_runs: R, the runs that were asked for (paper: 5); a run without an entry was not evaluated.

    Returns: True, False, or None (UNSCORED) where fewer than half of the R runs were evaluated.
    Raises: InvalidArgument: gamma or the number of runs is out of range.
    Source: section 2.2 of the paper; the rule for runs that were not evaluated is ours.
    """
    if not 0 <= gamma < 1:
        raise InvalidArgument("The failure threshold lies in [0, 1).", field="gamma", value=gamma)
    if n_runs < 1 or len(correct) > n_runs:
        raise InvalidArgument("There are at most R runs an item.", field="n_runs", value=n_runs)
    evaluated = [outcome for outcome in correct if outcome is not None]
    if not evaluated or 2 * len(evaluated) < n_runs:
        return None
    return Fraction(evaluated.count(False), len(evaluated)) > Fraction(gamma).limit_denominator(10_000)


def capability_error_rates(
    items: Iterable[tuple[Sequence[str], bool | None]], *, is_drawn_for: bool = True
) -> tuple[CapabilityErrorRate, ...]:
    """Eq. 1: e_k = |{b in B : c_k(b) = 1}| / |{s in D_dev : c_k(s) = 1}|.

    An UNSCORED item is in neither count (it is not known to be a failure, and calling it a success would lower e_k);
    it is counted apart.

    Args:
        items: Of each development item its capabilities, and `is_failure`.
        is_drawn_for: Noted in each row: these are cells, which images are drawn for.

    Returns: One row for each capability that occurs, sorted by name.
    """
    counts: dict[str, list[int]] = {}
    for labels, failed in items:
        for label in set(labels):
            row = counts.setdefault(label, [0, 0, 0])
            row[0] += failed is True
            row[1] += failed is not None
            row[2] += failed is None
    return tuple(
        CapabilityErrorRate(
            capability=label,
            n_failures=n_failures,
            n_items=n_items,
            n_unscored=n_unscored,
            error_rate=n_failures / n_items if n_items else None,
            is_drawn_for=is_drawn_for,
        )
        for label, (n_failures, n_items, n_unscored) in sorted(counts.items())
    )
