"""`TrainingLauncher` as Kubernetes Jobs.

One Job is one attempt. Its pods (`kubernetes_pod.py`) tell of steps, checkpoints and the result on their log; the launcher notes
the newest checkpoint on the Job. When a pod is killed the Job fails, and the launcher makes the next one, which goes on from
there. Jobs are labelled with the training's key: a service that was restarted finds the one that runs.
"""

from __future__ import annotations

from collections.abc import Callable

from services.training.adapters.kubernetes_jobs import FAILURE_ANNOTATION, TrainingJobs
from services.training.adapters.kubernetes_watch import JobWatch
from services.training.job.log import TrainingProgress
from services.training.job.spec import TrainingJob
from services.training.settings import KubernetesSection, TrainingSettings
from shared.errors import Internal, InvalidArgument, MedqError
from shared.kubernetes_api import connect
from shared.logs import get_logger

_LOG = get_logger("training")


class KubernetesLauncher:
    """Runs each training as a Job.

    Args:
        jobs: The Jobs of the namespace.
        section: How long to wait, how often to look, how many pods may be lost.
    """

    def __init__(self, jobs: TrainingJobs, section: KubernetesSection) -> None:
        self._jobs = jobs
        self._section = section

    def run(
        self, job: TrainingJob, on_progress: Callable[[TrainingProgress], None], is_cancelled: Callable[[], bool]
    ) -> str:
        """Run the job, or follow the Job that runs it already; see `TrainingLauncher.run`.

        Raises:
            FailedPrecondition: Its pods got no node or no image in time.
            Unavailable: The API server was away for long; the Job goes on, and the next call follows it.
        """
        attempt = self._jobs.newest(job.key)
        is_over = attempt is not None and attempt.is_reported and attempt.state == "failed"
        if attempt is None or is_over or attempt.state == "gone":
            attempt = self._jobs.create(job, after=attempt)
        on_new_step = _once_each(on_progress)
        for is_last in [*[False] * (self._section.attempts - 1), True]:
            watch = JobWatch(self._jobs, attempt, self._section, on_new_step)
            try:
                uri = watch.to_the_end(is_cancelled)
            except MedqError:
                if watch.attempt.state == "failed":
                    self._jobs.annotate(attempt.name, FAILURE_ANNOTATION, "true")
                raise
            if uri is not None:
                return uri
            _LOG.warning("training_pods_lost", job=attempt.name, why=watch.why)
            if is_last:
                break
            attempt = self._jobs.create(job, after=watch.attempt)
        self._jobs.annotate(attempt.name, FAILURE_ANNOTATION, "true")
        raise Internal(
            f"The training lost its pods {self._section.attempts} times; the last time: {watch.why}",
            field="job",
            value=attempt.name,
            remedy="Start it again: it goes on from its checkpoint. OOMKilled asks for more memory.",
        )


def kubernetes_launcher(settings: TrainingSettings) -> KubernetesLauncher:
    """The launcher that the settings ask for.

    Raises:
        InvalidArgument: No image is named, or no object store that pods can reach.
        FailedPrecondition: The cluster cannot be reached.
    """
    section = settings.kubernetes
    for field, value in (("kubernetes.image", section.image), ("s3.endpoint", settings.s3.endpoint)):
        if not value:
            raise InvalidArgument("Training as Kubernetes Jobs needs it.", field=field, remedy="Set it.")
    return KubernetesLauncher(TrainingJobs(connect(section.kubeconfig), settings), section)


def _once_each(on_progress: Callable[[TrainingProgress], None]) -> Callable[[TrainingProgress], None]:
    """Steps in order, each once: a log is read again in parts, and an attempt repeats what came after its checkpoint."""
    highest = 0

    def show(step: TrainingProgress) -> None:
        nonlocal highest
        if step.step > highest:
            highest = step.step
            on_progress(step)

    return show
