"""The program of a Kubernetes Job's pods: a fine-tuning job on a machine that shares no disk with the training service.

It is `python -m services.training.adapters.kubernetes_pod --job JSON`. Inputs come from the object store by URI, and so does
the checkpoint to go on from. What the job makes is stored there: checkpoints as they are sealed, the model at the end. What it
has to say are lines on standard output (`job/log.py`).
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict

from services.training.adapters.job_process import JobProcess, Workers
from services.training.adapters.subprocess_launcher import SubprocessLauncher
from services.training.job.log import TrainingProgress, tell
from services.training.job.model_files import checkpoint_step, fetch_checkpoint, newest_checkpoint, store_checkpoint
from services.training.job.spec import TrainingJob, TrainingSpec
from services.training.settings import TrainingSettings
from shared.errors import MedqError, encode_error
from shared.logs import configure_logs, log_uncaught_errors
from shared.objects.store import ObjectStore
from shared.resources import open_objects


class CheckpointKeeper:
    """Stores each checkpoint that the job seals and tells its URI.

    Args:
        objects: Where to.
        spec: The job.
    """

    def __init__(self, objects: ObjectStore, spec: TrainingSpec) -> None:
        self._objects = objects
        self._spec = spec
        self._kept = newest_checkpoint(spec.checkpoints_folder)

    def on_progress(self, step: TrainingProgress) -> None:
        """Tell of a step, and store what was sealed before it."""
        tell("progress", asdict(step))
        newest = newest_checkpoint(self._spec.checkpoints_folder)
        if newest is None or newest == self._kept:
            return
        # A job that is ahead of what was told waits: who goes on from there would never tell of the steps between.
        if checkpoint_step(newest) > step.step:
            return
        uri = store_checkpoint(self._objects, newest, self._spec.output_folder / "staging")
        self._kept = newest
        tell("checkpoint", {"uri": uri, "name": newest.name})


def run(
    job: TrainingJob,
    checkpoint_uri: str,
    workers: Workers | None,
    settings: TrainingSettings,
    is_cancelled: Callable[[], bool],
) -> None:
    """Train on this node and tell of it; the node that has the result stores it.

    Args:
        job: What to train.
        checkpoint_uri: Where to go on from; "" from the beginning.
        workers: Processes of this node and of how many; None: one process.
        settings: Object store, scratch folder, device.
        is_cancelled: Asked a few times a second.

    Raises:
        MedqError: See `TrainingLauncher.run`.
    """
    objects = open_objects(settings)
    process = JobProcess(workers=workers)
    state = settings.state_folder
    launcher = SubprocessLauncher(objects, state, process, settings.device, settings.n_torch_threads)
    spec = launcher.spec(job)
    if checkpoint_uri:
        fetch_checkpoint(objects, checkpoint_uri, spec.checkpoints_folder)
    if workers is None or workers.has_result:
        keeper = CheckpointKeeper(objects, spec)
        tell("result", {"uri": launcher.run(job, keeper.on_progress, is_cancelled)})
        return
    spec.output_folder.mkdir(parents=True, exist_ok=True)
    spec_path = spec.output_folder / "spec.json"
    spec_path.write_text(spec.model_dump_json(indent=1), encoding="utf-8")
    process.run(spec_path, lambda step: None, is_cancelled)


def main() -> None:
    """Run the job; a typed error is told, and the exit code is 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, help="JSON of a TrainingJob")
    parser.add_argument("--checkpoint", default="", help="URI of the checkpoint to go on from")
    parser.add_argument("--processes", type=int, default=0, help="processes under torchrun; 0: one without")
    parser.add_argument("--nodes", type=int, default=1, help="pods that train together")
    parser.add_argument("--rank", type=int, default=0, help="which of them this is, from 0")
    parser.add_argument("--master", default="", help="host:port of rank 0, where several pods meet")
    arguments = parser.parse_args()
    configure_logs()
    log_uncaught_errors()
    # Not a `threading.Event`: a second signal in the midst of its `set` would wait for its own lock.
    came: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    workers = None
    if arguments.processes or arguments.nodes > 1:
        workers = Workers(max(1, arguments.processes), arguments.nodes, arguments.rank, arguments.master)
    try:
        job = TrainingJob.model_validate_json(arguments.job)
        run(job, arguments.checkpoint, workers, TrainingSettings(), lambda: bool(came))
    except MedqError as error:
        tell("error", encode_error(error))
        sys.exit(str(error))


if __name__ == "__main__":
    main()
