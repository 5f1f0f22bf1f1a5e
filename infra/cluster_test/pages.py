"""What the cluster test looks at of the pages, as browsers reach them: through the ingress controller, by the chart's Ingress."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx2

from infra.cluster_test.browser import URL, Browser, grpc_channel, require
from infra.cluster_test.identities import Identities
from infra.cluster_test.machine import CommandFailed
from infra.cluster_test.release import Release
from medq.controller.v1.controller_pb2 import ListRunsRequest
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from shared.rpc.rights import Role

#: For how long the ingress controller may not know yet where pods are.
_KNOWN_SECONDS = 60.0
#: How long a deleted pod may take to be replaced.
_REPLACED_SECONDS = 180.0
#: What an ingress controller answers for a pod that does not; 0 is nothing in time.
_LOST = (0, 502, 503, 504)
#: More than fits into a packet or a small buffer, less than the pages take.
_LARGE_FORM = 190_000
#: Says what becomes of a file that a pod writes beside its program, and as whom it runs.
_WRITE_TRIED = """
import errno, os
try:
    open("/app/written", "w")
    told = "written"
except OSError as error:
    told = errno.errorcode[error.errno]
print(told, os.getuid())
"""


class Pages:
    """The pages of a release.

    Args:
        release: It has the pages and the ingress.
        identities: Of whoever comes.
    """

    def __init__(self, release: Release, identities: Identities) -> None:
        self._release = release
        self._identities = identities
        self._ca_file: Path = identities.authority.ca_file

    def browser(self, role: Role | None = None) -> Browser:
        """A browser; logged in by the token of a role, or by nobody."""
        browser = Browser(self._ca_file)
        if role is not None:
            browser.log_in(self._identities.tokens[role])
        return browser

    def try_doors(self) -> str:
        """Nobody gets in without a login, by whatever door, and everybody does what their role may.

        Returns: What was seen.
        """
        stranger = self.browser()
        _soon(lambda: stranger.get("/healthz"))
        require(stranger.get("/healthz").text == "ok", "/healthz does not say ok")
        answer = stranger.get("/runs", 303)
        require(answer.headers["location"] == "/login?next=%2Fruns", f"/runs leads to {answer.headers['location']}")
        stranger.post("/login", 401, token="medq_of_nobody")
        stranger.get("/api/v1/runs", 401)
        stranger.get("/api/v1/runs", authorization=f"Bearer {self._identities.tokens[Role.READER]}")
        stranger.get("/api/v1/runs", 401, authorization="Bearer medq_of_nobody")
        self._try_roles()
        at_issuer = self.browser()
        led = at_issuer.log_in_at_issuer()
        require(led == f"{URL}/review", f"the login at the issuer led to {led}")
        at_issuer.get("/api/review/counts")
        return "logins by token and by the issuer"

    def _try_roles(self) -> None:
        start = {"run_id": "forbidden", "config_yaml": "name: forbidden", "is_agreed": "yes"}
        reader, reviewer, operator = (self.browser(role) for role in (Role.READER, Role.REVIEWER, Role.OPERATOR))
        for browser in (reader, reviewer):
            browser.get("/runs")
            browser.post("/runs", 403, **start)
        require("content-security-policy" in reader.get("/runs").headers, "no policy of contents")
        for browser, status in ((reader, 403), (reviewer, 200)):
            browser.get("/review")
            browser.get("/api/review/counts")
            browser.call("/api/review/lease", status, {"count": 1})
        operator.post("/runs", 403, origin="https://elsewhere.test", **start)
        operator.post("/runs", 400, **start)  # it may, and this is no configuration
        operator.post("/start", 200, config_yaml="x" * _LARGE_FORM)

    def try_grpc(self) -> None:
        """The services are behind the same ingress, and ask who calls."""
        with grpc_channel("controller", self._ca_file) as channel:
            stub = ControllerServiceStub(channel)
            token = ("authorization", f"Bearer {self._identities.tokens[Role.READER]}")
            require(bool(stub.ListRuns(ListRunsRequest(), metadata=(token,), timeout=20).runs), "gRPC lists no run")
            try:
                stub.ListRuns(ListRunsRequest(), timeout=20)
            except grpc.RpcError as error:
                require(error.code() is grpc.StatusCode.UNAUTHENTICATED, f"gRPC answers a stranger: {error.code()}")
            else:
                raise CommandFailed("gRPC answers a stranger")

    def try_run(self, run_id: str) -> None:
        """A run that has ended is on its pages."""
        reader = self.browser(Role.READER)
        require(f'href="/runs/{run_id}"' in reader.get("/runs").text, f"{run_id} is not among the runs")
        for page in ("", "/lineage", "/report.html", "/figures"):
            reader.get(f"/runs/{run_id}{page}")

    def try_pods(self) -> str:
        """Two restricted pods stand for one another: the cookie that one has sealed opens with the other.

        Returns: What was seen.
        """
        found = self._release.pods("web")
        require(len(found) == 2, f"{len(found)} pods")
        for pod in found:
            self._require_restricted(pod)
        names = [pod["metadata"]["name"] for pod in found]
        reader = self.browser(Role.READER)
        before = [self._n_answered(name) for name in names]
        for _ in range(20):
            reader.get("/runs")
        answered = [self._n_answered(name) - one for name, one in zip(names, before, strict=True)]
        require(all(answered), f"of 20 requests the pods answered {answered}")
        return f"of 20 requests the pods answered {answered[0]:.0f} and {answered[1]:.0f}"

    def follow(self, run_id: str, notes: list[str]) -> None:
        """While a run is at work: its events come one by one, and every pod of the pages is deleted without a login lost."""
        reader = self.browser(Role.READER)
        require(run_id in reader.get(f"/runs/{run_id}").text, "the run has no page")
        start = time.monotonic()
        with reader.http.stream("GET", f"/runs/{run_id}/events") as answer:
            require(answer.headers["content-type"].startswith("text/event-stream"), "the events are no stream")
            arrivals = _arrivals(answer)
            first = next(arrivals)
            seconds = time.monotonic() - start
            require(first == "event: standing", f"the first event is {first}")
            require(self._state(reader, run_id) == "running", "the first event came after the run")
            next(arrivals)
            require(self._state(reader, run_id) == "running", "the second event came after the run")
        notes.append(f"first event after {seconds:.1f} s, while the run was at work")
        notes.append(self._replace_pods(reader, f"/runs/{run_id}"))

    def _replace_pods(self, reader: Browser, path: str) -> str:
        """Delete one pod after the other, ask for a page all the time, with one cookie.

        This ingress controller sends requests to a pod until it has gone for good, so some of them are lost.
        """
        lost = asked = 0
        for pod in self._release.pods("web"):
            self._release.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")
            for _ in _until(functools.partial(self._is_replaced, pod["metadata"]["uid"])):
                asked += 1
                status = reader.status(path)
                require(status in (200, *_LOST), f"{path}: {status} with a pod away")
                lost += status in _LOST
        _soon(lambda: reader.get(path))
        return f"both pods replaced, the login kept; {lost} of {asked} requests met a pod that had gone"

    def _is_replaced(self, uid: str) -> bool:
        pods = self._release.pods("web")
        n_ready = sum(status["ready"] for pod in pods for status in pod["status"].get("containerStatuses", ()))
        return len(pods) == n_ready == 2 and all(pod["metadata"]["uid"] != uid for pod in pods)

    def _state(self, reader: Browser, run_id: str) -> str:
        return str(reader.get(f"/api/v1/runs/{run_id}").json()["run"]["state"])

    def _n_answered(self, pod: str) -> float:
        """How often a pod has answered /runs."""
        text = self._release.metrics(pod)
        wanted = 'medq_web_requests_total{code="200",route="/runs"} '
        return sum(float(line.removeprefix(wanted)) for line in text.splitlines() if line.startswith(wanted))

    def _require_restricted(self, pod: dict[str, Any]) -> None:
        """The namespace enforces PodSecurity "restricted"; it does not ask for a root file system that is read alone."""
        name, (container,) = pod["metadata"]["name"], pod["spec"]["containers"]
        require(container["securityContext"]["readOnlyRootFilesystem"] is True, f"{name} may write to its root")
        told = self._release.kubectl("exec", name, "--", "python", "-c", _WRITE_TRIED).strip()
        require(told == "EROFS 10001", f"{name}, which tried to write: {told}")


def _arrivals(answer: httpx2.Response) -> Iterator[str]:
    """The first line of each event or comment of a stream, as it arrives."""
    return (line for line in answer.iter_lines() if line.startswith(("event:", ":")))


def _soon(attempt: Callable[[], object]) -> None:
    """Try until it succeeds."""
    end = time.monotonic() + _KNOWN_SECONDS
    while True:
        try:
            attempt()
            return
        except CommandFailed:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def _until(is_so: Callable[[], bool]) -> Iterator[None]:
    """Ask until it is so."""
    end = time.monotonic() + _REPLACED_SECONDS
    while not is_so():
        require(time.monotonic() < end, "a pod that was deleted is not replaced")
        yield
