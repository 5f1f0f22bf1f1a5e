"""`TrainingLauncher` on this machine: inputs are fetched into a cache, processes train, the result is stored."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from services.training.job.log import TrainingProgress
from services.training.job.model_files import store_model
from services.training.job.spec import Optimisation, TrainingJob, TrainingSpec
from services.training.ports import TrainingProcess
from shared.errors import Conflict
from shared.objects.dataset import materialize
from shared.objects.store import ObjectStore


class SubprocessLauncher:
    """Runs each job in a folder of its own that a restart finds again.

    Args:
        objects: Where models and datasets lie.
        state_folder: Where jobs work (`training/work/<key>`) and inputs are laid out (`cache`).
        process: Trains.
        device: "auto" takes a GPU where there is one.
        n_threads: Threads of torch on a CPU.
    """

    def __init__(
        self,
        objects: ObjectStore,
        state_folder: Path,
        process: TrainingProcess,
        device: Literal["auto", "cpu"] = "auto",
        n_threads: int = 1,
    ) -> None:
        self._objects = objects
        self._state_folder = state_folder
        self._process = process
        self._device: Literal["auto", "cpu"] = device
        self._n_threads = n_threads

    def run(
        self, job: TrainingJob, on_progress: Callable[[TrainingProgress], None], is_cancelled: Callable[[], bool]
    ) -> str:
        """Run the job; see `TrainingLauncher.run`. Its checkpoints go once the result is stored."""
        spec = self.spec(job)
        with _alone(spec.output_folder):
            spec_path = spec.output_folder / "spec.json"
            spec_path.write_text(spec.model_dump_json(indent=1), encoding="utf-8")
            if not spec.result_folder.is_dir():
                self._process.run(spec_path, on_progress, is_cancelled)
            uri = store_model(
                self._objects,
                spec.result_folder,
                self._state_folder / "training",
                parents=[job.model_uri, job.dataset_uri],
                configuration=spec.settings,
                seed=job.seed,
            )
            shutil.rmtree(spec.checkpoints_folder, ignore_errors=True)
        return uri

    def spec(self, job: TrainingJob) -> TrainingSpec:
        """The job on this machine; its inputs are fetched where they are missing."""
        cache = self._state_folder / "cache"
        dataset = materialize(self._objects, job.dataset_uri, cache).resolve()
        optimisation = {name: getattr(job, name) for name in Optimisation.model_fields}
        return TrainingSpec(
            **optimisation,
            model_folder=materialize(self._objects, job.model_uri, cache).resolve(),
            train_file=dataset / "train.jsonl",
            image_folder=dataset,
            output_folder=(self._state_folder / "training" / "work" / job.key).resolve(),
            device=self._device,
            n_threads=self._n_threads,
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder of a job.

    Raises:
        Conflict: Another operation of the same request is at work in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            yield
    except Timeout:
        remedy = "Wait for that operation; ListOperations names it."
        raise Conflict("The same training is at work already.", remedy=remedy) from None
