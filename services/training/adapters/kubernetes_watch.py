"""Follows one training Job to its end: what its pods tell on their log, and what Kubernetes says of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

from services.training.adapters.kubernetes_jobs import Attempt, PodState, TrainingJobs
from services.training.job.log import TrainingProgress, messages, read_progress
from services.training.settings import KubernetesSection
from shared.errors import Cancelled, FailedPrecondition, Internal, Unavailable, decode_error

#: How long the API server may be away before a Job that cannot be watched is left alone.
OUTAGE_SECONDS = 900.0
TAIL_LINES = 40
TAIL_CHARACTERS = 2000
#: Longest time between two questions whether the training was called off.
_ASK_SECONDS = 0.2
#: Errors of a pod that the next one may not have.
_PASSING = ("UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED")


class JobWatch:
    """One Job, followed.

    The log is read in parts of some seconds, each a little longer than the time since the last look. A connection that breaks
    therefore loses nothing, and what is read twice is dropped by its step.

    Args:
        jobs: The Jobs of the namespace.
        attempt: The Job.
        section: How long to wait and how often to look.
        on_progress: Called for each step.

    Attributes:
        attempt: The Job with its newest checkpoint.
        why: Why it ended without a result.
    """

    def __init__(
        self,
        jobs: TrainingJobs,
        attempt: Attempt,
        section: KubernetesSection,
        on_progress: Callable[[TrainingProgress], None],
    ) -> None:
        self.attempt = attempt
        self.why = ""
        self._jobs = jobs
        self._section = section
        self._on_progress = on_progress
        self._begun = self._seen = time.monotonic()
        self._has_read = self._has_pods_begun = False
        self._result = ""
        self._pods: list[PodState] = []

    def to_the_end(self, is_cancelled: Callable[[], bool]) -> str | None:
        """Follow the Job until it has ended.

        Returns: The URI of the model; None where the Job was lost, and another may go on.

        Raises:
            MedqError: What the job told, or `Internal` with the end of its log where it died of itself.
            Cancelled: It was called off; the Job is deleted.
            FailedPrecondition: Its pods got no node or no image in time; the Job is deleted.
            Unavailable: The API server was away for too long; the Job goes on.
        """
        while not self._has_ended():
            next_look = time.monotonic() + self._section.poll_seconds
            while time.monotonic() < next_look:
                if is_cancelled():
                    self._jobs.delete(self.attempt.name)
                    remedy = "Start it again; a Job that was called off leaves no checkpoint."
                    raise Cancelled("The training was called off.", remedy=remedy)
                time.sleep(min(_ASK_SECONDS, self._section.poll_seconds))
        if self._result:
            return self._result
        if self.attempt.state != "failed":
            self.why = f"its Job is {self.attempt.state}, and no result was told"
            return None
        self._raise_own_failure()
        return None

    def _has_ended(self) -> bool:
        """Look once; an API server that is away for a while is waited for."""
        try:
            self._look()
        except Unavailable:
            if time.monotonic() - self._seen > OUTAGE_SECONDS:
                raise
        return bool(self._result) or self.attempt.state != "running"

    def _look(self) -> None:
        now = time.monotonic()
        attempt = self._jobs.look(self.attempt.name, self.attempt.number)
        known = self.attempt.checkpoint_uri
        self.attempt = replace(attempt, checkpoint_uri=attempt.checkpoint_uri or known)
        if attempt.state == "gone":
            return
        self._pods = self._jobs.pods(attempt)
        self._has_pods_begun |= any(pod.has_begun for pod in self._pods)
        if self._pods and self._has_pods_begun:
            since = math.ceil(now - self._seen) + 2 if self._has_read else None
            self._read(self._jobs.log(self._pods[0].name, since_seconds=since))
            self._has_read = True
        elif attempt.state == "running":
            self._require_start(now)
        self._seen = now

    def _read(self, log: str) -> None:
        newest = self.attempt.checkpoint_uri
        for kind, content in messages(log):
            if kind == "progress":
                self._on_progress(read_progress(content))
            elif kind == "checkpoint":
                newest = str(content["uri"])
            elif kind == "result":
                self._result = str(content["uri"])
        if newest != self.attempt.checkpoint_uri:
            self._jobs.remember(self.attempt.name, newest)
            self.attempt = replace(self.attempt, checkpoint_uri=newest)

    def _require_start(self, now: float) -> None:
        """
        Raises:
            FailedPrecondition: No pod has begun in time.
        """
        if now - self._begun <= self._section.start_seconds:
            return
        why = next((pod.why for pod in self._pods if pod.why), "") or "no pod was admitted"
        self._jobs.delete(self.attempt.name)
        raise FailedPrecondition(
            f"The training's pods did not begin within {self._section.start_seconds:g} s: {why}",
            field="job",
            value=self.attempt.name,
            remedy="Look at the events of the namespace: image, free GPUs, quota, PodSecurity.",
        )

    def _raise_own_failure(self) -> None:
        """Raise what a Job failed of by itself; one whose pods were taken from it has none, and `why` says so."""
        logs = {pod.name: self._jobs.log(pod.name, tail_lines=TAIL_LINES) for pod in self._pods}
        errors = [decode_error(content) for log in logs.values() for kind, content in messages(log) if kind == "error"]
        for error in sorted(errors, key=lambda error: error.reason in _PASSING):
            if error.reason not in _PASSING:
                raise error
            self.why = error.message
        killed = [pod.why for pod in self._pods if pod.was_killed]
        if errors or killed or not self._pods:
            self.why = self.why or next(iter(killed), "its pods are gone")
            return
        whys = {pod.name: pod.why for pod in self._pods if pod.why and not pod.why.startswith("Completed")}
        name = next(iter(whys), self._pods[0].name)
        tail = logs[name].strip()[-TAIL_CHARACTERS:]
        raise Internal(
            f"The training's pod {name} ended without a result, {whys.get(name, '')}; its log ends with: {tail}",
            field="job",
            value=self.attempt.name,
            remedy="Start it again: it goes on from its checkpoint.",
        )
