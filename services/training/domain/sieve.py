"""What of the samples goes into a dataset version, and why the rest does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.training.domain.deduplicate import repeated_samples
from services.training.domain.samples import TrainingSample
from shared.rows.training import Dropped


@dataclass(frozen=True)
class EarlierSample:
    """A sample that the arm was trained on in an earlier round."""

    round: int
    sample: TrainingSample


class Sieve:
    """Samples that are still in, and the rows of those that are not.

    Args:
        samples: The preferred ones first; those with a defect are left out at once.

    Attributes:
        kept: What is still in, in the order given.
        dropped: What is not, with its reason.
    """

    def __init__(self, samples: Iterable[TrainingSample]) -> None:
        self.kept = list(samples)
        self.dropped: list[Dropped] = []
        self._drop({sample.sample_id: (sample.defect, "") for sample in self.kept if sample.defect})

    @property
    def image_ids(self) -> list[str]:
        """The images of what is still in, each once, in order."""
        return list(dict.fromkeys(sample.image_id for sample in self.kept))

    def drop_images(self, reasons: Mapping[str, tuple[str, str]]) -> None:
        """Leave out the samples about images, each with a reason and its detail."""
        self._drop({s.sample_id: reasons[s.image_id] for s in self.kept if s.image_id in reasons})

    def drop_repeats(
        self, earlier: Sequence[EarlierSample], phashes: Mapping[str, str], distance: int, threshold: float
    ) -> None:
        """Leave out what says the same about nearly the same picture as an earlier sample; see `repeated_samples`.

        Args:
            earlier: What was learned in earlier rounds, the first round first.
            phashes: The perceptual hash of each image, those of earlier rounds among them.
            distance, threshold: As `repeated_samples` has them.
        """
        samples = [*(of.sample for of in earlier), *self.kept]
        said = [sample.said(phashes[sample.image_id]) for sample in samples]
        keepers = repeated_samples(said, distance=distance, threshold=threshold).tolist()
        reasons: dict[str, tuple[str, str]] = {}
        for i, sample in enumerate(self.kept, start=len(earlier)):
            of = keepers[i]
            if of < len(earlier):
                reasons[sample.sample_id] = (f"repeats round {earlier[of].round}", samples[of].sample_id)
            elif of != i and samples[of].image_id == sample.image_id:
                reasons[sample.sample_id] = ("near-duplicate text", samples[of].sample_id)
            elif of != i:
                reasons[sample.sample_id] = ("near-duplicate image", samples[of].image_id)
        self._drop(reasons)

    def _drop(self, reasons: Mapping[str, tuple[str, str]]) -> None:
        for sample in self.kept:
            if sample.sample_id in reasons:
                reason, detail = reasons[sample.sample_id]
                row = sample.lineage
                self.dropped.append(
                    Dropped(id=row.id, kind=row.kind, image_id=row.image_id, reason=reason, detail=detail)
                )
        self.kept = [sample for sample in self.kept if sample.sample_id not in reasons]
