"""The Jobs of one namespace as training sees them: found by their job's key, made, looked at, remembered, deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from kubernetes import client

from services.training.adapters.kubernetes_manifest import (
    ATTEMPT_LABEL,
    CHECKPOINT_ANNOTATION,
    KEY_LABEL,
    job_manifest,
    key_label,
    service_manifest,
)
from services.training.job.spec import TrainingJob
from services.training.settings import TrainingSettings
from shared.errors import Conflict, InvalidArgument, NotFound
from shared.kubernetes_api import REQUEST_SECONDS, typed_errors

FAILURE_ANNOTATION = "medq.io/failure-was-reported"
#: Exit codes of a container that was killed: SIGKILL, SIGTERM.
_KILLED = (137, 143)


@dataclass(frozen=True)
class Attempt:
    """A Job.

    Args:
        name: Of the Job.
        number: From 1.
        state: "gone" where it is not there any more, or on its way out.
        checkpoint_uri: The newest checkpoint that was remembered with it; "" without one.
        is_reported: Its failure was told to whoever asked for the training.
        uid: Tells it from an earlier Job of the same name, whose pods may still be ending.
    """

    name: str
    number: int
    state: Literal["running", "complete", "failed", "gone"]
    checkpoint_uri: str
    is_reported: bool
    uid: str = ""


@dataclass(frozen=True)
class PodState:
    """A pod of a Job.

    Args:
        name: Of the pod.
        has_begun: Its container runs or ran.
        was_killed: It ended by a signal, was evicted, or its node was lost.
        why: Why it waits or ended, in Kubernetes' words.
    """

    name: str
    has_begun: bool
    was_killed: bool
    why: str


class TrainingJobs:
    """The training Jobs of a namespace.

    Args:
        api: A client of the cluster.
        settings: Of the training service; its section `kubernetes` names the namespace.
    """

    def __init__(self, api: client.ApiClient, settings: TrainingSettings) -> None:
        # Any: both take manifests as dictionaries, which their types do not say.
        self._batch: Any = client.BatchV1Api(api)
        self._core: Any = client.CoreV1Api(api)
        self._settings = settings
        self._namespace = settings.kubernetes.namespace

    def newest(self, key: str) -> Attempt | None:
        """The latest Job of a training, if there is one."""
        with typed_errors(f"jobs of {key_label(key)}"):
            found = self._batch.list_namespaced_job(
                self._namespace, label_selector=f"{KEY_LABEL}={key_label(key)}", _request_timeout=REQUEST_SECONDS
            )
        return max(map(_attempt, found.items), key=lambda attempt: attempt.number, default=None)

    def create(self, job: TrainingJob, after: Attempt | None) -> Attempt:
        """Make the Job that comes after another one, and goes on from its checkpoint; one that is there is taken.

        Raises:
            InvalidArgument, PermissionDenied: The API server refuses the manifest.
        """
        number = 1 if after is None else after.number + 1
        checkpoint_uri = "" if after is None else after.checkpoint_uri
        body = job_manifest(job, number, checkpoint_uri, self._namespace, self._settings)
        name = str(body["metadata"]["name"])
        try:
            with typed_errors(f"job {name}"):
                self._batch.create_namespaced_job(self._namespace, body, _request_timeout=REQUEST_SECONDS)
        except Conflict:
            pass  # another process of this service was faster
        return self.look(name, number)

    def look(self, name: str, number: int) -> Attempt:
        """How a Job stands. Several nodes get their Service here, so that it is there whoever made the Job."""
        try:
            with typed_errors(f"job {name}"):
                job = self._batch.read_namespaced_job(name, self._namespace, _request_timeout=REQUEST_SECONDS)
        except NotFound:
            return Attempt(name, number, "gone", "", False)
        attempt = _attempt(job)
        if attempt.state == "running" and self._settings.kubernetes.nodes > 1:
            self._ensure_service(name, job.metadata.uid)
        return attempt

    def annotate(self, name: str, annotation: str, value: str) -> None:
        """Note something on a Job; one that is gone keeps no notes."""
        body = {"metadata": {"annotations": {annotation: value}}}
        try:
            with typed_errors(f"job {name}"):
                self._batch.patch_namespaced_job(name, self._namespace, body, _request_timeout=REQUEST_SECONDS)
        except NotFound:
            pass

    def remember(self, name: str, checkpoint_uri: str) -> None:
        """Note the newest checkpoint on a Job, for the one that comes after it."""
        self.annotate(name, CHECKPOINT_ANNOTATION, checkpoint_uri)

    def delete(self, name: str) -> None:
        """Delete a Job and, after it, its pods and its Service."""
        try:
            with typed_errors(f"job {name}"):
                self._batch.delete_namespaced_job(
                    name, self._namespace, propagation_policy="Background", _request_timeout=REQUEST_SECONDS
                )
        except NotFound:
            pass

    def pods(self, attempt: Attempt) -> list[PodState]:
        """The pods of a Job, the first node's first."""
        name = attempt.name
        with typed_errors(f"pods of job {name}"):
            found = self._core.list_namespaced_pod(
                self._namespace, label_selector=f"batch.kubernetes.io/job-name={name}", _request_timeout=REQUEST_SECONDS
            )
        own = [
            pod for pod in found.items if attempt.uid in {owner.uid for owner in pod.metadata.owner_references or []}
        ]
        return [_pod_state(pod) for pod in sorted(own, key=_index)]

    def log(self, pod: str, since_seconds: int | None = None, tail_lines: int | None = None) -> str:
        """What a pod said; "" where it has not begun or is gone.

        Args:
            pod: Its name.
            since_seconds: Only lines of so many last seconds.
            tail_lines: Only so many last lines.
        """
        bounds = {"since_seconds": since_seconds, "tail_lines": tail_lines}
        asked = {name: bound for name, bound in bounds.items() if bound is not None}
        try:
            with typed_errors(f"log of pod {pod}"):
                # Read as bytes: the client would otherwise turn a log of one JSON line into a dictionary's text.
                answer = self._core.read_namespaced_pod_log(
                    pod, self._namespace, _preload_content=False, _request_timeout=REQUEST_SECONDS, **asked
                )
                return str(answer.data.decode("utf-8", errors="replace"))
        except (NotFound, InvalidArgument):
            return ""

    def _ensure_service(self, name: str, uid: str) -> None:
        body = service_manifest(name, uid, self._namespace)
        try:
            with typed_errors(f"service {name}"):
                self._core.create_namespaced_service(self._namespace, body, _request_timeout=REQUEST_SECONDS)
        except Conflict:
            pass


def _attempt(job: Any) -> Attempt:
    """A Job as the API tells of it."""
    ended = {condition.type for condition in job.status.conditions or [] if condition.status == "True"}
    state: Literal["running", "complete", "failed", "gone"] = "running"
    if "Complete" in ended:
        state = "complete"
    elif "Failed" in ended:
        state = "failed"
    elif job.metadata.deletion_timestamp is not None:
        state = "gone"
    notes = job.metadata.annotations or {}
    return Attempt(
        name=job.metadata.name,
        number=int(job.metadata.labels[ATTEMPT_LABEL]),
        state=state,
        checkpoint_uri=notes.get(CHECKPOINT_ANNOTATION, ""),
        is_reported=FAILURE_ANNOTATION in notes,
        uid=job.metadata.uid,
    )


def _pod_state(pod: Any) -> PodState:
    container = next(iter(pod.status.container_statuses or []), None)
    terminated = container and container.state.terminated
    waiting = container and container.state.waiting
    unscheduled = [
        condition.message
        for condition in pod.status.conditions or []
        if condition.type == "PodScheduled" and condition.status == "False"
    ]
    reasons = [
        pod.status.reason,
        terminated and f"{terminated.reason} (exit code {terminated.exit_code})",
        waiting and waiting.reason,
        *unscheduled,
    ]
    return PodState(
        name=pod.metadata.name,
        has_begun=container is not None and waiting is None,
        was_killed=bool(pod.status.reason) or bool(terminated and terminated.exit_code in _KILLED),
        why="; ".join(reason for reason in reasons if reason),
    )


def _index(pod: Any) -> int:
    """Number of the node that a pod is."""
    return int((pod.metadata.labels or {}).get("batch.kubernetes.io/job-completion-index", 0))
