"""A dataset version from decisions: leakage gate, quality assurance, replay, files. Restartable: it keeps nothing."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from medq.evaluation.v1 import evaluation_pb2
from medq.retrieval.v1.retrieval_pb2 import CheckLeakageRequest
from medq.retrieval.v1.retrieval_pb2_grpc import RetrievalServiceStub
from medq.training.v1 import training_pb2 as pb
from services.training.dataset.files import lay_out
from services.training.domain.samples import (
    TrainingSample,
    draw_replay,
    from_decision,
    from_replay,
    in_training_order,
    n_to_replay,
)
from services.training.domain.sieve import EarlierSample, Sieve
from shared.errors import FailedPrecondition
from shared.objects.dataset import iterate_rows, read_manifest, read_rows, write_dataset
from shared.objects.store import ObjectStore
from shared.prompts import LETTER, AnswerForm
from shared.rows.annotation import Decision
from shared.rows.benchmark import Item
from shared.rows.images import Image
from shared.rows.training import Dropped, Lineage
from shared.rpc.choices import name_of
from shared.rpc.leakage_gate import check_leakage

Progress = Callable[[int, int, str, str], None]


class DatasetBuilder:
    """Builds dataset versions.

    Args:
        objects: Where datasets and images lie.
        retrieval: The service that is the leakage gate.
    """

    def __init__(self, objects: ObjectStore, retrieval: RetrievalServiceStub) -> None:
        self._objects = objects
        self._retrieval = retrieval

    def build(self, request: pb.StartBuildDatasetRequest, progress: Progress) -> tuple[str, int]:
        """Make the dataset.

        Returns: Its URI and its number of samples, replay included.

        Raises:
            FailedPrecondition: No new sample is left, or an image is not described in the image sets.
        """
        new, replay, earlier = self._new_samples(request), self._replay_samples(request), self._earlier_samples(request)
        again = Sieve(of.sample.learned_in(of.round) for of in earlier if request.is_earlier_replayed)
        learned = {of.sample.image_id for of in earlier}
        phashes = self._phashes(request, {*new.image_ids, *replay.image_ids, *learned})
        self._keep_out_leaks(request, new)
        self._keep_out_leaks(request, replay)
        self._keep_out_leaks(request, again)
        if not request.is_quality_assurance_off:
            new.drop_repeats(earlier, phashes, request.phash_distance, request.tfidf_threshold)
        if not new.kept:
            raise _nothing_left(new.dropped)
        learned_here = [*new.kept, *again.kept]
        n_wanted = (
            n_to_replay(len(learned_here), request.replay_ratio, request.total_samples) if request.replay_uri else 0
        )
        replayed = draw_replay(replay.kept, n_wanted, request.seed)
        samples = in_training_order([*learned_here, *replayed], request.seed)
        dropped = sorted([*new.dropped, *again.dropped, *replay.dropped], key=lambda row: (row.kind, row.id))
        return self._write(request, samples, dropped, n_wanted - len(replayed), progress), len(samples)

    def _new_samples(self, request: pb.StartBuildDatasetRequest) -> Sieve:
        rows = read_rows(self._objects, request.decisions_uri, Decision)
        # Of two that are alike the first is kept: what an expert saw comes first.
        rows.sort(key=lambda row: (not row.expert_action, row.decision_id))
        return Sieve(from_decision(row, _form(request)) for row in rows)

    def _earlier_samples(self, request: pb.StartBuildDatasetRequest) -> list[EarlierSample]:
        """What this arm learned in each earlier round, without what was replayed; none where it is not looked at."""
        found = []
        is_needed = request.is_earlier_replayed or not request.is_quality_assurance_off
        for uri in request.earlier_uris if is_needed else ():
            manifest = read_manifest(self._objects, uri, "dataset")
            learned = {row.decision_id for row in iterate_rows(self._objects, uri, Lineage)}
            decisions = iterate_rows(self._objects, manifest.parents[0], Decision)
            round_number = int(manifest.configuration["round"])
            samples = (from_decision(row, _form(request)) for row in decisions if row.decision_id in learned)
            found += [EarlierSample(round_number, sample) for sample in samples]
        return found

    def _replay_samples(self, request: pb.StartBuildDatasetRequest) -> Sieve:
        if not request.replay_uri or not (request.replay_ratio or request.total_samples):
            return Sieve([])
        items = iterate_rows(self._objects, request.replay_uri, Item)
        return Sieve(from_replay(item, _form(request)) for item in items)

    def _phashes(self, request: pb.StartBuildDatasetRequest, image_ids: set[str]) -> dict[str, str]:
        """The perceptual hashes of images; the gate can only check what it is told of, so an unknown one ends the build."""
        phashes: dict[str, str] = {}
        for uri in request.image_set_uris:
            for row in iterate_rows(self._objects, uri, Image):
                if row.image_id in image_ids:
                    phashes.setdefault(row.image_id, row.phash)
        unknown = sorted(image_ids - phashes.keys())
        if unknown:
            raise FailedPrecondition(
                f"{len(unknown)} training images are described in none of the image sets, so their leakage cannot be checked.",
                field="image_set_uris",
                value=unknown[0],
                remedy="Name the image sets of the pool and of the replay set.",
            )
        return phashes

    def _keep_out_leaks(self, request: pb.StartBuildDatasetRequest, sieve: Sieve) -> None:
        """The gate: whatever keeps it from checking all images is raised, never taken for "no leak"."""
        question = CheckLeakageRequest(
            image_set_uris=request.image_set_uris,
            guard_uris=request.guard_uris,
            phash_distance=request.phash_distance,
            twin_similarity=request.twin_similarity,
        )
        leaks = check_leakage(self._retrieval, question, sieve.image_ids)
        sieve.drop_images({image_id: (f"leak: {leak.reason}", leak.guard_image_id) for image_id, leak in leaks.items()})

    def _write(
        self,
        request: pb.StartBuildDatasetRequest,
        samples: Sequence[TrainingSample],
        dropped: Sequence[Dropped],
        n_lacking: int,
        progress: Progress,
    ) -> str:
        # The first parent is the decisions: later rounds read there what was learned in this one.
        parents = [request.decisions_uri, *request.image_set_uris, *request.guard_uris, *request.earlier_uris]
        parents += [request.replay_uri] if request.replay_uri else []
        configuration = {
            "arm": request.arm,
            "round": request.round,
            "answer_form": _form(request),
            "replay_ratio": request.replay_ratio,
            "total_samples": request.total_samples,
            "phash_distance": request.phash_distance,
            "tfidf_threshold": request.tfidf_threshold,
            "twin_similarity": request.twin_similarity,
            "is_quality_assurance_off": request.is_quality_assurance_off,
            "is_earlier_replayed": request.is_earlier_replayed,
        }
        kinds = Counter("earlier" if s.lineage.learned_in is not None else str(s.lineage.kind) for s in samples)
        counts = {**kinds, "samples": len(samples), "dropped": len(dropped)}
        if n_lacking:
            counts["replay_lacking"] = n_lacking
        images = {sample.image_name: sample.lineage.image_uri for sample in samples}
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for done, (image_name, uri) in enumerate(sorted(images.items())):
                progress(done, len(images), "images", "")
                self._objects.fetch(uri, folder / image_name)
            provenance: dict[str, Any] = {"parents": parents, "configuration": configuration, "seed": request.seed}
            lay_out(folder, samples, dropped, provenance)
            return write_dataset(self._objects, "dataset", folder, counts=counts, **provenance)


def _form(request: pb.StartBuildDatasetRequest) -> AnswerForm:
    return cast(AnswerForm, name_of(evaluation_pb2.AnswerForm.DESCRIPTOR, request.answer_form, LETTER))


def _nothing_left(dropped: Sequence[Dropped]) -> FailedPrecondition:
    counts = Counter(row.reason for row in dropped)
    reasons = ", ".join(f"{reason}: {n}" for reason, n in sorted(counts.items())) or "no decision at all"
    return FailedPrecondition(
        f"No new sample is left to train on ({reasons}).",
        field="decisions_uri",
        remedy="Annotate more images, or loosen the filter that took most.",
    )
