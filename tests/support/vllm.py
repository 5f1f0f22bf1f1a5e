"""A server with vLLM's OpenAI-compatible paths, and a Deployment of it on the fake cluster."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.cluster import FakeCluster, Object

DEPLOYMENT = "vllm"


class FakeVllm:
    """Answers with the prompt's text and the seed it was given.

    Attributes:
        served: Name of the model; "" while the server is away.
        asked: Bodies of the requests for answers.
        failures: Statuses that the next requests for answers get.
        n_others: Requests of others that `/metrics` tells of.
        replies: What the next requests are answered with instead: the text, and its tokens as the protocol has them.
    """

    def __init__(self) -> None:
        self.served = ""
        self.asked: list[dict[str, Any]] = []
        self.failures: list[int] = []
        self.n_others = 0
        self.replies: list[tuple[str, list[Object] | None]] = []
        self.n_metrics_reads = 0
        self.at_once = self.most_at_once = 0
        self.base_url = ""
        self.changed = threading.Condition()

    def answer(self, path: str, body: Object) -> tuple[int, Any]:
        if path == "/metrics":
            self.n_metrics_reads += 1
            return 200, f'vllm:num_requests_running{{engine="0"}} {self.n_others}.0\nother 3\n'
        if path == "/v1/models":
            models = [{"id": self.served, "object": "model", "created": 0, "owned_by": "vllm"}]
            return (200, {"object": "list", "data": models}) if self.served else (503, {})
        with self.changed:
            self.asked.append(body)
            if self.failures:
                return self.failures.pop(0), {"error": {"message": "secret inside"}}
            if body["model"] != self.served:
                return 404, {"error": {"message": "no such model"}}
            text, tokens = self.replies.pop(0) if self.replies else _reply(body)
        return 200, _completion(body, text, tokens)


@contextmanager
def served_vllm() -> Iterator[FakeVllm]:
    """Serve it on a port of this machine."""
    vllm = FakeVllm()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _handle(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            with vllm.changed:
                vllm.at_once += 1
                vllm.most_at_once = max(vllm.most_at_once, vllm.at_once)
            status, answer = vllm.answer(self.path, body)
            with vllm.changed:
                vllm.at_once -= 1
            data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            if status == 429:
                self.send_header("Retry-After-Ms", "1")
            self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _handle  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    vllm.base_url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield vllm
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Rollout:
    """The Deployment controller: a patched model takes the place of the old one in three steps, one at each look.

    Args:
        cluster: Where the Deployment is put.
        vllm: What it runs.
        model_uri: Served at first.
    """

    def __init__(self, cluster: FakeCluster, vllm: FakeVllm, model_uri: str) -> None:
        self.vllm = vllm
        self.models: list[str] = []
        self.is_stuck = False
        env = [{"name": "MEDQ_MODEL_URI", "value": model_uri}, {"name": "OTHER", "value": "kept"}]
        spec = {
            "initContainers": [{"name": "fetch", "env": [dict(variable) for variable in env]}],
            "containers": [{"name": "vllm", "env": env}, {"name": "sidecar"}],
        }
        template = {"metadata": {"annotations": {"medq.io/model": model_uri}}, "spec": spec}
        self.deployment: Object = {
            "metadata": {"name": DEPLOYMENT, "generation": 1},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "vllm"}}, "template": template},
            "status": {},
        }
        self.cluster = cluster
        cluster.objects["deployments", DEPLOYMENT] = self.deployment
        cluster.on_patch = self._patched
        cluster.on_read = self._step
        self._steps = iter(())
        self._finish(model_uri)

    @property
    def model_uri(self) -> str:
        return str(self.deployment["spec"]["template"]["metadata"]["annotations"]["medq.io/model"])

    def _patched(self, kind: str, found: Object) -> None:
        self.models.append(self.model_uri)
        found["metadata"]["generation"] += 1
        self.vllm.served = ""
        end = (self._begin, lambda: self._finish(self.model_uri))
        self._steps = iter((self._observe, *(() if self.is_stuck else end)))

    def _step(self, kind: str) -> None:
        if kind == "deployments":
            next(self._steps, lambda: None)()

    def _observe(self) -> None:
        """The controller has seen it: the old pod is ending, and no longer counted."""
        generation = self.deployment["metadata"]["generation"]
        self.deployment["status"] = {"observedGeneration": generation, "replicas": 0 if not self.is_stuck else 1}
        if self.is_stuck:
            self.deployment["status"]["updatedReplicas"] = 1
            given_up = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
            self.deployment["status"]["conditions"] = [given_up]
            waiting = {"name": "fetch", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
            status = {"image": "", "imageID": "", "ready": False, "restartCount": 3}
            self._pod("new", self.model_uri)["status"] = {"initContainerStatuses": [waiting | status]}

    def _begin(self) -> None:
        """The new pod is ready while the old one still ends."""
        self._pod("new", self.model_uri)
        self._count()

    def _finish(self, model_uri: str) -> None:
        self.cluster.objects.pop(("pods", "new"), None)
        self._pod("old", model_uri)
        self._count()
        self.vllm.served = model_uri

    def _count(self) -> None:
        counts = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
        generation = self.deployment["metadata"]["generation"]
        self.deployment["status"] = {"observedGeneration": generation, **counts}

    def _pod(self, name: str, model_uri: str) -> Object:
        metadata = {"name": name, "labels": {"app": "vllm"}, "annotations": {"medq.io/model": model_uri}}
        pod: Object = {"metadata": metadata, "status": {}}
        self.cluster.objects["pods", name] = pod
        return pod


def token(text: str, logprob: float | None = -0.5, is_bytes: bool = False) -> Object:
    """A token of a reply as the protocol has it."""
    return {"token": text, "logprob": logprob, "bytes": list(text.encode()) if is_bytes else None, "top_logprobs": []}


def _reply(body: Object) -> tuple[str, list[Object]]:
    return f" {body['messages'][0]['content'][1]['text']} {body['seed']} ", [token("a"), token("b")]


def _completion(body: Object, text: str, tokens: list[Object] | None) -> Object:
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": text},
        "logprobs": {"content": tokens, "refusal": None} if body.get("logprobs") and tokens is not None else None,
    }
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    head = {"id": "x", "object": "chat.completion", "created": 0, "model": body["model"]}
    return {**head, "choices": [choice], "usage": usage}
