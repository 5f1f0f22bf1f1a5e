"""What a round could not evaluate, item by item. It knows nothing of files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from shared.rows.evaluation import Unscored


def unscored_items(rows: Mapping[str, Sequence[Unscored]]) -> list[dict[str, Any]]:
    """An entry for each item and reason, with the number of its runs.

    Args:
        rows: Split to what its evaluation left out.

    Returns: Sorted by split and item.
    """
    counts = Counter((split, row.item_id, row.reason, row.remedy) for split, found in rows.items() for row in found)
    return [
        {"split": split, "item_id": item_id, "n_runs": n, "reason": reason, "remedy": remedy}
        for (split, item_id, reason, remedy), n in sorted(counts.items())
    ]
