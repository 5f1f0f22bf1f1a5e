"""The frozen anchor set: pairs of a reference and a reply of known merit, shown to the judge in every evaluation.

A judge at an endpoint may change under the same name. Where its grades of these texts move, scores of rounds do not compare. So
the texts never change: another set is another version. They are ours, written for this purpose, and about no real image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

#: Raised with any change of a text.
ANCHORS_VERSION: Final = 1


@dataclass(frozen=True)
class AnchorPair:
    """A reference, a reply, and how good that is: `faithful`, `partial` or `contrary`."""

    level: str
    reference: str
    reply: str


_MRI = (
    "This axial brain MRI is degraded by strong ghosting along the phase direction, which repeats the skull across the brain. "
    "Noise is low and contrast is fair, but the ghosts cover the ventricles. Overall, the quality of this image is reject."
)
_CT = (
    "This chest CT shows moderate grainy noise in the soft tissue, as of a low dose. Edges of the lung vessels stay sharp, and "
    "there are no streaks. Overall, the quality of this image is usable."
)
_FUNDUS = (
    "This fundus photograph is in focus, with even illumination and clear vessels up to the third branch. Colours are natural, "
    "and no artifact is seen. Overall, the quality of this image is good."
)
ANCHORS: Final[tuple[AnchorPair, ...]] = (
    AnchorPair(
        "faithful",
        _MRI,
        "Severe motion ghosts run across the brain in the phase direction and repeat the outline of the skull; the ventricles "
        "are hidden by them. There is little noise, and contrast is acceptable. Overall, the quality of this image is reject.",
    ),
    AnchorPair(
        "faithful",
        _CT,
        "A moderate, low-dose like grain lies over the soft tissue of the chest. Lung vessels have sharp borders, and streaks "
        "are absent. Overall, the quality of this image is usable.",
    ),
    AnchorPair(
        "faithful",
        _FUNDUS,
        "The photograph is sharp and evenly lit; vessels can be followed to the third branch. Colour is natural and there are no "
        "artifacts. Overall, the quality of this image is good.",
    ),
    AnchorPair(
        "partial",
        _MRI,
        "The image shows some ghosting, and its contrast is fair. Fine structures can mostly be made out. "
        "Overall, the quality of this image is usable.",
    ),
    AnchorPair(
        "partial",
        _CT,
        "Slight noise is present in the soft tissue, and everything else is clear. Overall, the quality of this image is good.",
    ),
    AnchorPair(
        "partial",
        _FUNDUS,
        "The vessels are visible, though the borders of the picture are a little dark and soft. "
        "Overall, the quality of this image is usable.",
    ),
    AnchorPair(
        "contrary",
        _MRI,
        "The image is free of any artifact, crisp and clean, and the ventricles are perfectly outlined. "
        "Overall, the quality of this image is good.",
    ),
    AnchorPair(
        "contrary",
        _CT,
        "There is no noise at all, but broad metal streaks cross the chest and the vessels are badly blurred. "
        "Overall, the quality of this image is good.",
    ),
    AnchorPair(
        "contrary",
        _FUNDUS,
        "The photograph is badly out of focus and so dark that no vessel can be followed; strong reflections cover the disc. "
        "Overall, the quality of this image is reject.",
    ),
)


def anchor_means(sums: Mapping[AnchorPair, int], anchors: Sequence[AnchorPair] = ANCHORS) -> dict[str, float]:
    """The mean sum of grades, 0..8, of each level; a level of which a pair is not graded is left out.

    Args:
        sums: Of the pairs that were graded on all four axes.
        anchors: The set.
    """
    levels = dict.fromkeys(pair.level for pair in anchors)
    own = {level: [sums.get(pair) for pair in anchors if pair.level == level] for level in levels}
    return {level: fmean(map(float, found)) for level, found in own.items() if None not in found}  # type: ignore[arg-type]
