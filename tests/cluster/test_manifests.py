"""A real API server accepts every manifest of the overlays (`kubectl apply --dry-run=server`); nothing is left there.

`MEDQ_TEST_KUBECONFIG` names the cluster, such as that of `infra/dev/kube`; without it this is skipped. It is not `KUBECONFIG`,
so that a run of all tests never touches a cluster that someone works with.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import chart

#: Kinds that only an operator's CRD makes known, by API group; tests/contract/chart looks at their YAML.
OPERATED = {"kafka.strimzi.io", "monitoring.coreos.com", "keda.sh"}
#: Not of a namespace.
CLUSTER_WIDE = {"PersistentVolume"}
ON_DISK = (
    "--set",
    "storage.hostPath=/var/lib/medq",
    "--set",
    "data.existingClaim=",
    "--set",
    "data.hostPath=/srv/medq",
)
VARIANTS = {
    "defaults": (chart.SITE,),
    "lab": ("values-lab.yaml", "--set", "test.command={python}"),
    "lab on a node's disk": ("values-lab.yaml", *ON_DISK),
    "hospital": ("values-hospital.yaml", "--set", "test.command={python}"),
    "hospital with the pages": (
        *("values-hospital.yaml", "--set", "web.enabled=true", "--set", "web.sessionSecret=medq-web"),
        *("--set", "web.clientId=medq-pages", "--set", "auth.oidc.network.cidrs={10.20.3.1/32}"),
    ),
    "hospital scaled by CPU": (
        *("values-hospital.yaml", "--set", "embedding.autoscaling.keda.enabled=false"),
        *("--set", "evaluation.autoscaling.enabled=true", "--set", "evaluation.settings.vllm.deployment=vllm"),
    ),
}


def kubectl(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Talk to the cluster."""
    environment = {**os.environ, "KUBECONFIG": os.environ["MEDQ_TEST_KUBECONFIG"]}
    return subprocess.run(
        ["kubectl", *arguments], input=given, capture_output=True, text=True, timeout=120, check=False, env=environment
    )


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    """A namespace that enforces PodSecurity "restricted"; it goes in the end."""
    if not os.environ.get("MEDQ_TEST_KUBECONFIG"):
        pytest.skip("No cluster: MEDQ_TEST_KUBECONFIG names none (infra/dev/kube up)")
    if not shutil.which("kubectl"):
        pytest.fail("MEDQ_TEST_KUBECONFIG is set, and there is no kubectl.")
    name = f"medq-manifests-{uuid.uuid4().hex[:8]}"
    modes = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    content = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": modes}}
    made = kubectl("create", "--filename", "-", given=json.dumps(content))
    assert made.returncode == 0, made.stderr
    account = kubectl("wait", "--for=create", "serviceaccount/default", "--namespace", name, "--timeout=60s")
    assert account.returncode == 0, account.stderr
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def of_api_server(documents: tuple[chart.Manifest, ...], namespace: str) -> dict[str, Any]:
    """The manifests whose kinds every API server knows, in the namespace, as one list."""
    items = []
    for document in documents:
        if document["apiVersion"].split("/")[0] in OPERATED:
            continue
        metadata = dict(document["metadata"])
        if document["kind"] not in CLUSTER_WIDE:
            metadata["namespace"] = namespace
        items.append({**document, "metadata": metadata})
    return {"apiVersion": "v1", "kind": "List", "items": items}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_api_server_accepts_every_manifest(variant: str, namespace: str) -> None:
    values, *arguments = VARIANTS[variant]
    documents = chart.overlay(values, *arguments)
    wanted = of_api_server(documents, namespace)
    answer = kubectl("apply", "--dry-run=server", "--validate=strict", "--filename", "-", given=json.dumps(wanted))
    assert answer.returncode == 0, answer.stderr
    accepted = [line for line in answer.stdout.splitlines() if "server dry run" in line]
    assert len(accepted) == len(wanted["items"])
    assert "Warning" not in answer.stderr, answer.stderr  # PodSecurity speaks of templates in a warning alone


@pytest.mark.timeout(180)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_namespace_that_enforces_restricted_admits_every_pod(variant: str, namespace: str) -> None:
    values, *arguments = VARIANTS[variant]
    items = []
    for name, pod in chart.pods(chart.overlay(values, *arguments)):
        # Who makes the pod would have made its account.
        spec = {**pod["spec"], "serviceAccountName": "default", "automountServiceAccountToken": False}
        items.append(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec}
        )
    answer = kubectl(
        "create",
        "--dry-run=server",
        "--filename",
        "-",
        given=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}),
    )
    assert answer.returncode == 0, answer.stderr
    assert len(answer.stdout.splitlines()) == len(items)


def test_the_namespace_would_refuse_a_pod_that_is_not_restricted(namespace: str) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "loose", "namespace": namespace},
        "spec": {"containers": [{"name": "loose", "image": "localhost/none:1"}]},
    }
    answer = kubectl("create", "--dry-run=server", "--filename", "-", given=json.dumps(pod))
    assert answer.returncode != 0
    assert "restricted" in answer.stderr
