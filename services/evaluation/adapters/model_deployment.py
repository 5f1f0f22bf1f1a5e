"""A Deployment that serves one model, named in its containers' environment as `MEDQ_MODEL_URI`; another model is a rollout.

An init container lays the model out (`python -m services.evaluation.adapters.fetch_model`); the server serves it under its URI.
"""

from __future__ import annotations

from typing import Any

from kubernetes import client

from services.evaluation.settings import VllmSection
from shared.errors import FailedPrecondition
from shared.kubernetes_api import REQUEST_SECONDS, typed_errors

ANNOTATION = "medq.io/model"
VARIABLE = "MEDQ_MODEL_URI"


class ModelDeployment:
    """The Deployment that the settings name.

    Args:
        api: A client of the cluster.
        section: Names the Deployment and its namespace.
    """

    def __init__(self, api: client.ApiClient, section: VllmSection) -> None:
        self._apps: Any = client.AppsV1Api(api)  # takes manifests as dictionaries, which its types do not say
        self._core: Any = client.CoreV1Api(api)
        self._name, self._namespace = section.deployment, section.namespace

    def serve(self, model_uri: str) -> None:
        """Have the Deployment serve a model; nothing is changed where it is the one already.

        Raises:
            FailedPrecondition: none of its containers takes the model from `MEDQ_MODEL_URI`.
            NotFound, PermissionDenied, Unavailable: the Deployment cannot be read or patched.
        """
        deployment = self._read()
        template = deployment.spec.template
        if (template.metadata.annotations or {}).get(ANNOTATION) == model_uri:
            return
        groups = {"initContainers": template.spec.init_containers or [], "containers": template.spec.containers}
        value = {"name": VARIABLE, "value": model_uri}
        patched = {
            group: [{"name": container.name, "env": [value]} for container in containers if _takes(container)]
            for group, containers in groups.items()
        }
        spec = {group: containers for group, containers in patched.items() if containers}
        if not spec:
            raise FailedPrecondition(
                f"No container of the Deployment has the variable {VARIABLE}.",
                field="vllm.deployment",
                value=self._name,
                remedy="Give it to the init container that fetches the model and to the server.",
            )
        annotations = {"annotations": {ANNOTATION: model_uri}}
        body = {"spec": {"template": {"metadata": annotations, "spec": spec}}}
        with typed_errors(f"deployment {self._name}"):
            self._apps.patch_namespaced_deployment(self._name, self._namespace, body, _request_timeout=REQUEST_SECONDS)

    def is_rolled_out(self, model_uri: str) -> bool:
        """Whether every pod serves the model and is ready, and none of another model is left.

        Raises:
            FailedPrecondition: Kubernetes gave the rollout up, or someone else had another model served meanwhile.
        """
        deployment = self._read()
        if (deployment.spec.template.metadata.annotations or {}).get(ANNOTATION) != model_uri:
            raise FailedPrecondition(
                "Another model was put in its place.",
                field="vllm.deployment",
                value=self._name,
                remedy="Let one evaluation at a time use the Deployment.",
            )
        status, wanted = deployment.status, deployment.spec.replicas
        if (status.observed_generation or 0) < (deployment.metadata.generation or 0):
            return False
        for condition in status.conditions or []:
            is_late = condition.type == "Progressing" and condition.reason == "ProgressDeadlineExceeded"
            if is_late and status.updated_replicas:  # without new pods it is said of the rollout before
                raise FailedPrecondition(
                    f"The rollout of the model was given up: {self._why(deployment)}",
                    field="vllm.deployment",
                    value=self._name,
                    remedy="Look at its pods: image, free GPUs, the init container's log.",
                )
        counts = (status.replicas or 0, status.updated_replicas or 0, status.available_replicas or 0)
        if wanted == 0 or set(counts) != {wanted}:
            return False
        # The counts leave out pods that are ending, which may still answer.
        models = {(pod.metadata.annotations or {}).get(ANNOTATION) for pod in self._pods(deployment)}
        return models == {model_uri}

    def _read(self) -> Any:
        with typed_errors(f"deployment {self._name}"):
            return self._apps.read_namespaced_deployment(self._name, self._namespace, _request_timeout=REQUEST_SECONDS)

    def _pods(self, deployment: Any) -> list[Any]:
        labels = deployment.spec.selector.match_labels or {}
        selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
        with typed_errors(f"pods of deployment {self._name}"):
            found = self._core.list_namespaced_pod(
                self._namespace, label_selector=selector, _request_timeout=REQUEST_SECONDS
            )
        return list(found.items)

    def _why(self, deployment: Any) -> str:
        """Why a pod waits, in Kubernetes' words."""
        for pod in self._pods(deployment):
            statuses = [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]
            for status in statuses:
                if status.state.waiting is not None:
                    return f"{status.name}: {status.state.waiting.reason}"
        return "no pod says why"


def _takes(container: Any) -> bool:
    return any(variable.name == VARIABLE for variable in container.env or [])
