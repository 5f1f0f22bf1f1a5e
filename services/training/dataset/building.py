"""A dataset version from decisions: leakage gate, quality assurance, replay, files. Restartable: it keeps nothing."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medq.training.v1 import training_pb2 as pb
from services.training.dataset.files import write_files
from services.training.domain.deduplicate import perceptual_duplicates, tfidf_near_duplicates
from services.training.domain.samples import (
    TrainingSample,
    defect,
    draw_replay,
    dropped_row,
    from_decision,
    from_replay,
    in_training_order,
)
from services.training.ports import LeakageGate
from shared.errors import FailedPrecondition
from shared.objects.dataset import JsonObject, read_manifest, read_rows, write_dataset
from shared.objects.store import ObjectStore

Progress = Callable[[int, int, str, str], None]


@dataclass
class _Sieve:
    """Samples that are still in, and the rows of those that are not."""

    kept: list[TrainingSample]
    dropped: list[dict[str, Any]] = field(default_factory=list)

    def drop(self, reasons: Mapping[str, tuple[str, str]]) -> None:
        """Leave out the samples of these ids, for a reason and its detail."""
        self.dropped += [
            dropped_row(sample, *reasons[sample.sample_id])
            for sample in self.kept
            if sample.sample_id in reasons
        ]
        self.kept = [sample for sample in self.kept if sample.sample_id not in reasons]

    def drop_images(self, reasons: Mapping[str, tuple[str, str]]) -> None:
        """Leave out the samples about these images."""
        self.drop({s.sample_id: reasons[s.image_id] for s in self.kept if s.image_id in reasons})


class DatasetBuilder:
    """Builds dataset versions.

    Args:
        objects: Where datasets and images lie.
        gate: The leakage gate.
    """

    def __init__(self, objects: ObjectStore, gate: LeakageGate) -> None:
        self._objects = objects
        self._gate = gate

    def build(self, request: pb.StartBuildDatasetRequest, progress: Progress) -> tuple[str, int]:
        """Make the dataset.

        Returns: Its URI and its number of samples, replay included.

        Raises:
            FailedPrecondition: No new sample is left, or an image is not described in the image sets.
        """
        new = self._new_samples(request)
        replay = self._replay_samples(request)
        described = self._describe(request)
        _require_described([*new.kept, *replay.kept], described)
        self._keep_out_leaks(request, new)
        self._keep_out_leaks(request, replay)
        if not request.is_quality_assurance_off:
            new.drop_images(near_duplicates(new.kept, described, request.phash_distance))
            new.drop(similar_texts(new.kept, request.tfidf_threshold))
        if not new.kept:
            raise _nothing_left(new.dropped)
        replayed = draw_replay(replay.kept, len(new.kept), request.replay_ratio, request.seed)
        samples = in_training_order([*new.kept, *replayed], request.seed)
        dropped = sorted([*new.dropped, *replay.dropped], key=lambda row: (row["kind"], row["id"]))
        return self._write(request, samples, dropped, progress), len(samples)

    def _new_samples(self, request: pb.StartBuildDatasetRequest) -> _Sieve:
        read_manifest(self._objects, request.decisions_uri, "decisions")
        rows = read_rows(self._objects, request.decisions_uri, "decisions.jsonl")
        # Of two that are alike the first is kept: what an expert saw comes first.
        rows.sort(key=lambda row: (not row["expert_action"], row["decision_id"]))
        return _without_defects([from_decision(row) for row in rows])

    def _replay_samples(self, request: pb.StartBuildDatasetRequest) -> _Sieve:
        if not request.replay_uri or request.replay_ratio == 0:
            return _Sieve([])
        read_manifest(self._objects, request.replay_uri, "benchmark")
        rows = read_rows(self._objects, request.replay_uri, "items.jsonl")
        return _without_defects([from_replay(row) for row in rows])

    def _describe(self, request: pb.StartBuildDatasetRequest) -> dict[str, JsonObject]:
        """The rows of the image sets by image id."""
        described: dict[str, JsonObject] = {}
        for uri in request.image_set_uris:
            read_manifest(self._objects, uri, "image-set")
            for row in read_rows(self._objects, uri, "images.jsonl"):
                described.setdefault(row["image_id"], row)
        return described

    def _keep_out_leaks(self, request: pb.StartBuildDatasetRequest, sieve: _Sieve) -> None:
        image_ids = sorted({sample.image_id for sample in sieve.kept})
        leaks = self._gate.check(
            image_ids, request.image_set_uris, request.guard_uris, request.phash_distance
        )
        sieve.drop_images(
            {image_id: (f"leak: {leak.reason}", leak.guard_image_id) for image_id, leak in leaks.items()}
        )

    def _write(
        self,
        request: pb.StartBuildDatasetRequest,
        samples: Sequence[TrainingSample],
        dropped: Sequence[JsonObject],
        progress: Progress,
    ) -> str:
        parents = [request.decisions_uri, *request.image_set_uris, *request.guard_uris]
        parents += [request.replay_uri] if request.replay_uri else []
        configuration = {
            "arm": request.arm,
            "round": request.round,
            "replay_ratio": request.replay_ratio,
            "phash_distance": request.phash_distance,
            "tfidf_threshold": request.tfidf_threshold,
            "is_quality_assurance_off": request.is_quality_assurance_off,
        }
        kinds = Counter(sample.kind for sample in samples)
        counts = {**kinds, "samples": len(samples), "dropped": len(dropped)}
        images = {sample.image_name: sample.image_uri for sample in samples}
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for done, (image_name, uri) in enumerate(sorted(images.items())):
                progress(done, len(images), "images", "")
                self._objects.fetch(uri, folder / image_name)
            provenance = {"parents": parents, "configuration": configuration, "seed": request.seed}
            write_files(folder, samples, dropped, provenance)
            return write_dataset(
                self._objects,
                "dataset",
                folder,
                counts=counts,
                parents=parents,
                configuration=configuration,
                seed=request.seed,
            )


def near_duplicates(
    samples: Sequence[TrainingSample], described: Mapping[str, JsonObject], distance: int
) -> dict[str, tuple[str, str]]:
    """The images that a perceptual hash takes for an earlier one, with the reason and the earlier one."""
    image_ids = list(dict.fromkeys(sample.image_id for sample in samples))
    keepers = perceptual_duplicates([described[i]["phash"] for i in image_ids], distance=distance)
    return {
        image_ids[index]: ("near-duplicate image", image_ids[keeper])
        for index, keeper in enumerate(keepers)
        if keeper != index
    }


def similar_texts(samples: Sequence[TrainingSample], threshold: float) -> dict[str, tuple[str, str]]:
    """The samples whose text is too near to an earlier one about the same image, with the reason and the earlier one.

    Questions about different images are worded alike on purpose, so they are not compared.
    """
    texts, images = [sample.text for sample in samples], [sample.image_id for sample in samples]
    keepers = tfidf_near_duplicates(texts, images, threshold=threshold)
    return {
        samples[index].sample_id: ("near-duplicate text", samples[keeper].sample_id)
        for index, keeper in enumerate(keepers)
        if keeper != index
    }


def _without_defects(samples: Sequence[TrainingSample]) -> _Sieve:
    sieve = _Sieve(list(samples))
    sieve.drop({sample.sample_id: (reason, "") for sample in samples if (reason := defect(sample))})
    return sieve


def _require_described(samples: Sequence[TrainingSample], described: Mapping[str, JsonObject]) -> None:
    """The gate can only check images that it is told of: an unknown one ends the build."""
    unknown = sorted({sample.image_id for sample in samples} - described.keys())
    if unknown:
        raise FailedPrecondition(
            f"{len(unknown)} training images are described in none of the image sets, so their leakage cannot be checked.",
            field="image_set_uris",
            value=unknown[0],
            remedy="Name the image sets of the pool and of the replay set.",
        )


def _nothing_left(dropped: Sequence[JsonObject]) -> FailedPrecondition:
    counts = Counter(row["reason"] for row in dropped)
    reasons = ", ".join(f"{reason}: {n}" for reason, n in sorted(counts.items())) or "no decision at all"
    return FailedPrecondition(
        f"No new sample is left to train on ({reasons}).",
        field="decisions_uri",
        remedy="Annotate more images, or loosen the filter that took most.",
    )
