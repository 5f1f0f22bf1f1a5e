"""The Kubernetes API as the services use it: one way to connect, one table of errors. Imported by cluster adapters alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client
from kubernetes import config as kubernetes_config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException

from shared.errors import (
    Conflict,
    FailedPrecondition,
    InvalidArgument,
    MedqError,
    NotFound,
    PermissionDenied,
    Unavailable,
)

#: How long one request may take, in seconds: connect, read.
REQUEST_SECONDS = (5.0, 30.0)
_KINDS: dict[int, type[MedqError]] = {
    400: InvalidArgument,
    401: PermissionDenied,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    422: InvalidArgument,
}


def connect(kubeconfig: Path | None) -> client.ApiClient:
    """A client of the cluster.

    Args:
        kubeconfig: File that says where the API server is and who asks; None: the service account of this pod.

    Raises:
        FailedPrecondition: the file is no kubeconfig, or this process is in no pod.
    """
    config: Any = kubernetes_config  # its functions have no types
    try:
        if kubeconfig is not None:
            from_file: client.ApiClient = config.new_client_from_config(config_file=str(kubeconfig))
            return from_file
        settings = client.Configuration()
        config.load_incluster_config(client_configuration=settings)
        return client.ApiClient(settings)
    except (ConfigException, OSError, ValueError) as error:
        raise FailedPrecondition(
            "The cluster cannot be reached.",
            field="kubeconfig",
            value="" if kubeconfig is None else str(kubeconfig),
            remedy="Run in a pod with a service account, or name a kubeconfig.",
        ) from error


@contextmanager
def typed_errors(what: str) -> Iterator[None]:
    """Turn what the client raises into a typed error; `what` says what was asked for, such as "job NAME"."""
    try:
        yield
    except ApiException as error:
        kind = _KINDS.get(error.status or 0, Unavailable)
        raise kind(
            f"Kubernetes refused: {error.status} {error.reason}.",
            field="kubernetes",
            value=what,
            remedy=_REMEDIES.get(kind, "Look at the API server."),
        ) from error
    except urllib3.exceptions.HTTPError as error:
        raise Unavailable(
            "Kubernetes does not answer.", field="kubernetes", value=what, remedy="Look at the API server."
        ) from error


_REMEDIES: dict[type[MedqError], str] = {
    PermissionDenied: "Give the service's account the rights that the chart lists.",
    InvalidArgument: "Look at the settings that the manifest is made of.",
    NotFound: "Name what exists in the namespace.",
    Conflict: "It is there already, or was changed meanwhile: read it again.",
}
