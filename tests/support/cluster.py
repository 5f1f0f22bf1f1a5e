"""A Kubernetes API for tests: the REST paths of Jobs, pods, logs, Services and Deployments, spoken to by the real client.

A Job's pods are processes of this machine. An image is a folder: the container's command runs in it. Stands for the API server,
the Job controller, the kubelet and the TTL controller, as far as a launcher sees them. What is also asked of a real API
server: `tests/cluster/test_job_manifests.py`.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

from tests.support.pods import PodProcess, environment, start_pod
from tests.support.ports import free_port

Object = dict[str, Any]
_PATH = re.compile(
    r"/(?:api/v1|apis/[a-z]+/v1)/namespaces/(?P<ns>[^/]+)/(?P<kind>[a-z]+)(?:/(?P<name>[^/]+))?(?P<log>/log)?"
)


class Refused(Exception):
    """A status that the API server answers with."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class FakeCluster:
    """Objects by kind and name, and the processes of pods.

    Args:
        images: Folder of each image; a pod of another image waits as it does where an image cannot be pulled.
        folder: For logs and volumes.
    """

    def __init__(self, images: Mapping[str, Path], folder: Path) -> None:
        self.images, self.folder = images, folder
        self.objects: dict[tuple[str, str], Object] = {}
        self.processes: dict[str, PodProcess] = {}
        self.is_down = False
        self.forbidden: set[tuple[str, str]] = set()
        self.requests: list[tuple[str, str]] = []
        self.secrets: dict[tuple[str, str], str] = {}
        self.on_patch: Callable[[str, Object], None] = lambda kind, found: None
        self.on_read: Callable[[str], None] = lambda kind: None
        self.changed = threading.Condition(threading.RLock())
        self._ids = iter(range(1, 1_000_000))

    def wait_for(self, condition: Callable[[], Any], seconds: float = 50.0) -> Any:
        """Wait until a condition on the cluster holds; its value."""
        with self.changed:
            assert self.changed.wait_for(condition, seconds), "the cluster never came to that"
            return condition()

    def jobs(self) -> list[Object]:
        """The Jobs, oldest first."""
        with self.changed:
            return [found for (kind, _), found in self.objects.items() if kind == "jobs"]

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Object) -> Object | str:
        """Answer one request.

        Raises:
            Refused: with the status of the answer.
        """
        if self.is_down:
            raise Refused(503, "ServiceUnavailable")
        match = _PATH.fullmatch(path)
        if match is None:
            raise Refused(404, "NotFound")
        kind, name = match["kind"], match["name"]
        with self.changed:
            self.requests.append((method, f"{kind}/{name or ''}"))
            if (method, kind) in self.forbidden:
                raise Refused(403, "Forbidden")
            if method == "POST":
                return self._create(kind, body)
            if name is None:
                return {"items": self._selected(kind, query.get("labelSelector", ""))}
            found = self.objects.get((kind, name))
            if found is None:
                raise Refused(404, "NotFound")
            if method == "GET":
                self.on_read(kind)
            if match["log"]:
                return self._log(name, query)
            if method == "PATCH":
                _merge(found, body)
                self.on_patch(kind, found)
                self.changed.notify_all()
            if method == "DELETE":
                self.delete(kind, name)
            return found

    def delete(self, kind: str, name: str) -> None:
        """Delete an object and what it owns; a pod that runs is ended, and its Job fails."""
        with self.changed:
            found = self.objects.pop((kind, name), None)
            owned = [key for key, other in self.objects.items() if _owner(other) == name]
            if kind == "pods" and found is not None:
                self.processes[name].end()
                self._job_ended(_owner(found), {name: None})
            for owned_kind, owned_name in owned:
                self.delete(owned_kind, owned_name)
            self.changed.notify_all()

    def expire_jobs(self, seconds: int) -> None:
        """Delete what may live only so long after its end, as the TTL controller does when the time has passed."""
        with self.changed:
            for job in self.jobs():
                is_over = "conditions" in job["status"] and job["spec"]["ttlSecondsAfterFinished"] <= seconds
                if is_over:
                    self.delete("jobs", job["metadata"]["name"])

    def kill_pod(self, name: str) -> None:
        """Kill a pod's process as the kernel does when memory runs out."""
        self.processes[name].kill()

    def close(self) -> None:
        """End every process."""
        for process in self.processes.values():
            process.kill()

    def _create(self, kind: str, body: Object) -> Object:
        name = body["metadata"]["name"]
        if (kind, name) in self.objects:
            raise Refused(409, "AlreadyExists")
        body["metadata"] |= {"uid": f"uid-{next(self._ids)}"}
        body["status"] = {}
        self.objects[kind, name] = body
        if kind == "jobs":
            self._start_pods(body)
        self.changed.notify_all()
        return body

    def _start_pods(self, job: Object) -> None:
        name, template = job["metadata"]["name"], job["spec"]["template"]
        endpoint = f"127.0.0.1:{free_port()}"
        for index in range(job["spec"]["completions"]):
            pod = f"{name}-{index}-{next(self._ids)}"
            labels = template["metadata"]["labels"] | {"batch.kubernetes.io/job-name": name}
            labels["batch.kubernetes.io/job-completion-index"] = str(index)
            owners = [{"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job["metadata"]["uid"]}]
            metadata = {"name": pod, "labels": labels, "ownerReferences": owners}
            self.objects["pods", pod] = {"metadata": metadata, "spec": template["spec"], "status": {}}
            image = self.images.get(template["spec"]["containers"][0]["image"])
            if image is None:
                self._set_state(pod, {"waiting": {"reason": "ImagePullBackOff"}})
                continue
            self._set_state(pod, {"running": {}})
            container = template["spec"]["containers"][0]
            values = environment(container, index, self.secrets)
            process = start_pod(container, image, self.folder / pod, values, (f"{name}-0.{name}", endpoint))
            self.processes[pod] = process
            threading.Thread(target=self._await, args=(name, pod), daemon=True).start()

    def _await(self, job: str, pod: str) -> None:
        code = self.processes[pod].wait()
        with self.changed:
            if ("pods", pod) in self.objects:
                reason = "Completed" if code == 0 else "Error"
                self._set_state(pod, {"terminated": {"exitCode": code, "reason": reason}})
                self._job_ended(job, {pod: code})
            self.changed.notify_all()

    def _job_ended(self, name: str, codes: Mapping[str, int | None]) -> None:
        """One pod has ended: a Job fails with its first pod (backoffLimit 0), and is complete with its last."""
        job = self.objects.get(("jobs", name))
        if job is None or job["status"].get("conditions"):
            return
        pods = [key[1] for key, other in self.objects.items() if key[0] == "pods" and _owner(other) == name]
        has_failed = any(code != 0 for code in codes.values())
        if not has_failed and any(self.processes[pod].is_running for pod in pods):
            return
        kind = "Failed" if has_failed else "Complete"
        job["status"] = {"conditions": [{"type": kind, "status": "True"}]}
        for pod in pods if has_failed else []:
            self.processes[pod].end()

    def _set_state(self, pod: str, state: Object) -> None:
        status = {"name": "training", "image": "", "imageID": "", "ready": False, "restartCount": 0, "state": state}
        self.objects["pods", pod]["status"] = {"containerStatuses": [status]}

    def _log(self, pod: str, query: Mapping[str, str]) -> str:
        if pod not in self.processes:
            raise Refused(400, "BadRequest")
        return self.processes[pod].log(
            float(query["sinceSeconds"]) if "sinceSeconds" in query else None,
            int(query["tailLines"]) if "tailLines" in query else None,
        )

    def _selected(self, kind: str, selector: str) -> list[Object]:
        wanted = dict(part.split("=", 1) for part in selector.split(",") if part)
        found = [other for key, other in self.objects.items() if key[0] == kind]
        return [other for other in found if wanted.items() <= other["metadata"].get("labels", {}).items()]


@contextmanager
def served(cluster: FakeCluster, folder: Path) -> Iterator[Path]:
    """Serve a cluster on a port of this machine; gives the kubeconfig that leads there."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _handle(self) -> None:
            url = urlparse(self.path)
            query = {name: values[-1] for name, values in parse_qs(url.query).items()}
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            try:
                status, answer = 200, cluster.answer(self.command, url.path, query, body)
                with cluster.changed:
                    data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            except Refused as refused:
                status = refused.status
                data = json.dumps({"kind": "Status", "reason": refused.reason, "code": status}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
                "users": [{"name": "u", "user": {}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    try:
        yield kubeconfig
    finally:
        cluster.close()
        server.shutdown()
        server.server_close()
        thread.join()


def _owner(found: Object) -> str:
    return next((owner["name"] for owner in found["metadata"].get("ownerReferences", [])), "")


def _merge(target: Object, patch: Object) -> None:
    """A merge patch; lists of named things are merged by name, as a strategic merge does."""
    for name, value in patch.items():
        old = target.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            _merge(old, value)
        elif isinstance(value, list) and isinstance(old, list) and all("name" in part for part in value):
            for part in value:
                same = next((other for other in old if other["name"] == part["name"]), None)
                old.append(part) if same is None else _merge(same, part)
        else:
            target[name] = value
