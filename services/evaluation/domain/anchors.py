"""The development images by their failures and successes: what retrieval can compare a pool image to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from services.evaluation.domain.outcomes import Outcome
from shared.rows.failures import Anchor


def anchors(outcomes: Iterable[Outcome]) -> list[Anchor]:
    """One anchor for each image with at least one item, sorted by image id.

    An image is a failure where some item about it is one; it is none where no item is and at least one was evaluated;
    where all are UNSCORED it is neither (None).
    """
    by_image: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_image.setdefault(outcome.item.image_id, []).append(outcome)
    return [_anchor(image_id, about) for image_id, about in sorted(by_image.items())]


def _anchor(image_id: str, about: list[Outcome]) -> Anchor:
    failed = Counter(outcome.cell for outcome in about if outcome.is_failure)
    is_evaluated = any(outcome.is_failure is not None for outcome in about)
    return Anchor(
        image_id=image_id, is_failure=bool(failed) if is_evaluated else None, capabilities=dict(sorted(failed.items()))
    )
