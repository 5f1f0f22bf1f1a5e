"""What of the samples goes into a dataset version, and why the rest does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from services.training.domain.deduplicate import perceptual_duplicates, tfidf_near_duplicates
from services.training.domain.samples import TrainingSample
from shared.rows.training import Dropped


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

    def drop_near_images(self, phashes: Mapping[str, str], distance: int) -> None:
        """Leave out the images that a perceptual hash takes for an earlier one; see `perceptual_duplicates`."""
        ids = self.image_ids
        keepers = perceptual_duplicates([phashes[image_id] for image_id in ids], distance=distance)
        near = [(ids[i], ids[keeper]) for i, keeper in enumerate(keepers) if keeper != i]
        self.drop_images({image_id: ("near-duplicate image", keeper) for image_id, keeper in near})

    def drop_near_texts(self, threshold: float) -> None:
        """Leave out the samples whose text is near to an earlier one about the same image; see `tfidf_near_duplicates`."""
        texts = [f"{sample.question}\n{sample.options[sample.answer or '']}" for sample in self.kept]
        images = [sample.image_id for sample in self.kept]
        keepers = tfidf_near_duplicates(texts, images, threshold=threshold)
        ids = [sample.sample_id for sample in self.kept]
        near = [(ids[i], ids[keeper]) for i, keeper in enumerate(keepers) if keeper != i]
        self._drop({sample_id: ("near-duplicate text", keeper) for sample_id, keeper in near})

    def _drop(self, reasons: Mapping[str, tuple[str, str]]) -> None:
        for sample in self.kept:
            if sample.sample_id in reasons:
                reason, detail = reasons[sample.sample_id]
                row = sample.lineage
                self.dropped.append(
                    Dropped(id=row.id, kind=row.kind, image_id=row.image_id, reason=reason, detail=detail)
                )
        self.kept = [sample for sample in self.kept if sample.sample_id not in reasons]
