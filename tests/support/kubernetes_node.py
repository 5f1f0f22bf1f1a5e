"""A real Kubernetes for tests: of a kubeconfig in the environment, in a namespace that enforces PodSecurity "restricted"."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kubernetes import client, watch

from shared.kubernetes_api import connect


def wanted(name: str) -> str:
    """A variable of the environment; the test is skipped where it is not set."""
    value = os.environ.get(name, "")
    if not value:
        pytest.skip(f"no Kubernetes here: set {name}")
    return value


def real_api() -> client.ApiClient:
    """A client of the cluster that the kubeconfig `MEDQ_TEST_KUBECONFIG` leads to."""
    kubeconfig = wanted("MEDQ_TEST_KUBECONFIG")
    warnings.filterwarnings("ignore", "Unverified HTTPS request")  # its certificate may be its own
    return connect(Path(kubeconfig))


@contextmanager
def restricted_namespace(api: client.ApiClient) -> Iterator[str]:
    """A namespace of its own, deleted afterwards."""
    core: Any = client.CoreV1Api(api)
    name = f"medq-test-{uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    core.create_namespace({"metadata": {"name": name, "labels": labels}})
    try:
        accounts = watch.Watch().stream(core.list_namespaced_service_account, name, timeout_seconds=30)
        next(iter(accounts))  # a controller makes it; pods are refused before
        yield name
    finally:
        core.delete_namespace(name)
