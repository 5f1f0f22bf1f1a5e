"""The chart as a release in a namespace of its own, and runs by pods in it."""

from __future__ import annotations

import functools
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from infra.cluster_test import in_pod
from infra.cluster_test.identities import Identities
from infra.cluster_test.machine import (
    HOST,
    POD_KAFKA_PORT,
    POSTGRES_PORT,
    ROOT,
    S3_PASSWORD,
    S3_PORT,
    S3_USER,
    TAG,
    CommandFailed,
    Machine,
)

CHART = ROOT / "charts" / "medq-engine"
NAMESPACE = "medq-test"
RELEASE = "medq"
HASH_KEY = "cluster-test-hash-key"
_OURS = f"app.kubernetes.io/instance={RELEASE}"
_RUN_LABEL = "medq.io/cluster-test=run"
_RUN_SECONDS = 1200.0
#: What `helm uninstall` leaves, by the README of the chart: claims, their volumes, test pods, training Jobs for a while.
_LEFT = re.compile(
    rf"PersistentVolumeClaim/{RELEASE}-(retrieval|data)|PersistentVolume/{NAMESPACE}-{RELEASE}-(retrieval|data)"
    rf"|Pod/{RELEASE}-test-(health|study)|(Job|Pod)/medq-training-[0-9a-f]+-\d+(-\w+)?"
)


class Release:
    """The chart, installed.

    Args:
        machine: Where kubectl and helm run.
        identities: Who calls, and who answers.
    """

    def __init__(self, machine: Machine, identities: Identities) -> None:
        self._machine = machine
        self._identities = identities
        self._values = machine.home / "values.yaml"

    def kubectl(self, *arguments: str, text: str | None = None, seconds: float = 300) -> str:
        """Run kubectl in the namespace."""
        return self._machine.call("kubectl", "--namespace", NAMESPACE, *arguments, text=text, seconds=seconds)

    def helm(self, *arguments: str | Path, seconds: float = 1200) -> str:
        """Run helm in the namespace."""
        return self._machine.call("helm", "--namespace", NAMESPACE, *arguments, seconds=seconds)

    def make_namespace(self) -> None:
        """An empty namespace that enforces PodSecurity "restricted", with the secrets that the chart names."""
        self.remove()
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
        secrets = {
            "medq-postgresql": {"url": f"postgresql://medq@{HOST}:{POSTGRES_PORT}/medq"},
            "medq-s3": {"access-key": S3_USER, "secret-key": S3_PASSWORD},
            "medq-embedding": {"hash-key": HASH_KEY},
            **self._identities.secrets(),
        }
        manifests = [namespace, *(_secret(name, values) for name, values in secrets.items())]
        self.kubectl("apply", "--filename", "-", text=yaml.safe_dump_all(manifests))

    def remove(self) -> None:
        """The namespace with all that is in it, and the volumes of earlier releases, which `helm uninstall` leaves."""
        self.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait", seconds=180)
        volumes = json.loads(self.kubectl("get", "persistentvolumes", "--output", "json"))["items"]
        for volume in volumes:
            if volume["spec"].get("claimRef", {}).get("namespace") == NAMESPACE:
                self.kubectl("delete", "persistentvolume", volume["metadata"]["name"])

    def install(self) -> None:
        """Install the chart with the lab overlay and this test's values; all pods are ready afterwards."""
        self._values.write_text(yaml.safe_dump(self._own_values()), encoding="utf-8")
        self._helm_with_values("install", "--wait")

    def upgrade(self, **values: str) -> None:
        """Upgrade to changed values, without waiting for the pods that come instead."""
        self._helm_with_values("upgrade", *(f"--set={key}={value}" for key, value in values.items()))

    def test(self) -> dict[str, Any]:
        """`helm test`; its study is the undisturbed run.

        Returns: The report.
        """
        self.helm("test", RELEASE, "--timeout", "20m", seconds=1300)
        return self._report(f"{RELEASE}-test-study")

    def run(self, run_id: str, disturbances: Mapping[str, Callable[[], None]]) -> dict[str, Any]:
        """Run the study in a pod like that of `helm test`, and disturb it on its way.

        Args:
            run_id: Of the run; also the end of the pod's name.
            disturbances: What is done once a step has begun, by what `medq run` prints of it, in the order of the steps.

        Returns: The report.

        Raises:
            CommandFailed: The run failed, or had ended before a disturbance was over.
        """
        pod, steps = f"run-{run_id}", list(disturbances)
        self.kubectl("apply", "--filename", "-", text=yaml.safe_dump(self._pod(pod, run_id)))
        for index, (step, disturb) in enumerate(disturbances.items()):
            # A short step may not have been printed: then a later one has.
            self._wait(functools.partial(self._has_begun, pod, steps[index:]), pod, step)
            disturb()
            if self._phase(pod) != "Running":
                raise CommandFailed(f"Run {run_id} had ended before it was disturbed at '{step}'")
        self._wait(lambda: self._phase(pod) in ("Succeeded", "Failed"), pod, "its end")
        if self._phase(pod) == "Failed":
            raise CommandFailed(f"Run {run_id} failed:\n{self._logs(pod)[-3000:]}")
        return self._report(pod)

    def delete_pods_of(self, service: str) -> None:
        """Tell the pods of a service to go, without waiting until they have gone."""
        self.kubectl("delete", "pods", "--selector", _of(service), "--wait=false")

    def pods(self, *components: str) -> list[dict[str, Any]]:
        """The pods of these components, as the API server tells them."""
        found = self.kubectl("get", "pods", "--selector", _of(*components), "--output", "json")
        pods: list[dict[str, Any]] = json.loads(found)["items"]
        return pods

    def metrics(self, pod: str) -> str:
        """What a pod tells Prometheus."""
        return self.kubectl("get", "--raw", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:9464/proxy/metrics")

    def wait_ready(self) -> None:
        """Wait until all workloads are as the release says."""
        names = self.kubectl("get", "deployments,statefulsets", "--selector", _OURS, "--output", "name").split()
        for name in names:
            self.kubectl("rollout", "status", name, "--timeout", "300s", seconds=320)

    def jobs(self) -> list[str]:
        """Names of the Kubernetes Jobs that trained."""
        selector = "app.kubernetes.io/component=training-job"
        return self.kubectl("get", "jobs", "--selector", selector, "--output", "name").split()

    def uninstall(self) -> list[str]:
        """`helm uninstall`.

        Returns: Kind and name of what carries the release's label and is still there.

        Raises:
            CommandFailed: Something is left that the chart's README does not name.
        """
        self.kubectl("delete", "pods", "--selector", f"{_OURS},{_RUN_LABEL}")
        self.helm("uninstall", RELEASE, "--cascade", "foreground", "--wait", "--timeout", "5m")
        kinds = self.kubectl("api-resources", "--namespaced", "--verbs", "list", "--output", "name").split()
        kinds = [kind for kind in kinds if not kind.startswith("events")]
        names = ",".join([*kinds, "persistentvolumes"])
        left = json.loads(self.kubectl("get", names, "--selector", _OURS, "--output", "json"))["items"]
        told = sorted(f"{item['kind']}/{item['metadata']['name']}" for item in left if _namespace(item) == NAMESPACE)
        if unsaid := [name for name in told if not _LEFT.fullmatch(name)]:
            raise CommandFailed(f"Left behind, and not said: {', '.join(unsaid)}")
        return told

    def look(self) -> str:
        """What the pods do, and the last words of those that are not ready: for a step that failed."""
        pods = json.loads(self.kubectl("get", "pods", "--output", "json"))["items"]
        events = self.kubectl("get", "events", "--sort-by", ".lastTimestamp").splitlines()[-40:]
        told = [*events, self.kubectl("get", "pods", "--output", "wide")]
        for pod in pods:
            statuses = pod["status"].get("containerStatuses", [])
            if pod["status"].get("phase") != "Succeeded" and not all(status["ready"] for status in statuses):
                told.append(f"{pod['metadata']['name']}: {self._logs(pod['metadata']['name'])[-2000:]}")
        return "\n".join(told)

    def _helm_with_values(self, verb: str, *more: str) -> None:
        values = ("--values", CHART / "values-lab.yaml", "--values", self._values)
        self.helm(verb, RELEASE, CHART, *values, *more, "--timeout", "15m")

    def _own_values(self) -> dict[str, Any]:
        study = (ROOT / "tests" / "support" / "tiny_study.py").read_text(encoding="utf-8")
        program = study + Path(in_pod.__file__).read_text(encoding="utf-8")
        values = self._identities.values()
        return {
            "image": {"tag": TAG, "pullPolicy": "Never"},
            "externalKafka": {"bootstrap": f"{HOST}:{POD_KAFKA_PORT}"},
            "externalS3": {"endpoint": f"http://{HOST}:{S3_PORT}"},
            "externalPostgresql": {"network": {"ports": [POSTGRES_PORT]}},
            "data": {"hostPath": str(self._machine.volumes / "data")},
            "storage": {"hostPath": str(self._machine.volumes), "node": "node1"},
            "test": {**values.pop("test"), "command": ["python", "-c", program]},
            **values,
        }

    def _pod(self, name: str, run_id: str) -> dict[str, Any]:
        """The pod of `helm test` under another name, for another run."""
        hooks = yaml.safe_load_all(self.helm("get", "hooks", RELEASE))
        pod: dict[str, Any] = next(hook for hook in hooks if hook["metadata"]["name"] == f"{RELEASE}-test-study")
        labels = pod["metadata"]["labels"] | dict([_RUN_LABEL.split("=")])
        pod["metadata"] = {"name": name, "labels": labels}
        pod["spec"]["containers"][0]["env"].append({"name": "RUN_ID", "value": run_id})
        return pod

    def _wait(self, is_so: Callable[[], bool], pod: str, what: str) -> None:
        deadline = time.monotonic() + _RUN_SECONDS
        while not is_so():
            if time.monotonic() > deadline:
                raise CommandFailed(f"{pod}: no sign of {what}:\n{self._logs(pod)[-3000:]}")
            time.sleep(1.0)

    def _has_begun(self, pod: str, steps: Sequence[str]) -> bool:
        logs = self._logs(pod)
        return any(step in logs for step in steps) or self._phase(pod) in ("Succeeded", "Failed")

    def _phase(self, pod: str) -> str:
        return self.kubectl("get", "pod", pod, "--output", "jsonpath={.status.phase}")

    def _logs(self, pod: str) -> str:
        try:
            return self.kubectl("logs", pod)
        except CommandFailed:
            return ""  # its container is not there yet

    def _report(self, pod: str) -> dict[str, Any]:
        lines = [line for line in self.kubectl("logs", pod).splitlines() if line.startswith(in_pod.MARK)]
        if not lines:
            raise CommandFailed(f"{pod} printed no report:\n{self._logs(pod)[-3000:]}")
        report: dict[str, Any] = json.loads(lines[-1].removeprefix(in_pod.MARK))
        return report


def _of(*components: str) -> str:
    return f"{_OURS},app.kubernetes.io/component in ({','.join(components)})"


def _namespace(item: Mapping[str, Any]) -> str:
    """Where an object is; a volume is where its claim is."""
    claim = item.get("spec", {}).get("claimRef", {})
    return str(item["metadata"].get("namespace") or claim.get("namespace", ""))


def _secret(name: str, values: Mapping[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": dict(values)}
