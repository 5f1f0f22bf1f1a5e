"""A browser at the pages, and a program at the gRPC of a service, both through the ingress controller of the node."""

from __future__ import annotations

import ssl
from pathlib import Path

import grpc
import httpx2

from infra.cluster_test.identities import DOMAIN
from infra.cluster_test.machine import NODE, CommandFailed

HOST = f"web.{DOMAIN}"
URL = f"https://{HOST}"
_SECONDS = 30.0
_IMPATIENT_SECONDS = 3.0


class Browser:
    """A browser with cookies of its own; it knows the authority of the ingress controller's certificate.

    Args:
        ca_file: That authority.
    """

    def __init__(self, ca_file: Path) -> None:
        context = ssl.create_default_context(cafile=ca_file)
        self.http = httpx2.Client(base_url=URL, transport=_Resolved(verify=context), timeout=_SECONDS)

    def get(self, path: str, status: int = 200, **headers: str) -> httpx2.Response:
        """A page, without going on to where it leads.

        Raises:
            CommandFailed: It is answered by another status, or not at all.
        """
        return self._sent("GET", path, status, headers=headers)

    def status(self, path: str) -> int:
        """The status of a page that is asked for without much patience; 0: it did not come."""
        try:
            return self.http.get(path, timeout=_IMPATIENT_SECONDS).status_code
        except httpx2.TransportError:
            return 0

    def post(self, path: str, status: int, origin: str = URL, **form: str) -> httpx2.Response:
        """Send a form, as from a page of this origin.

        Raises:
            CommandFailed: It is answered by another status, or not at all.
        """
        return self._sent("POST", path, status, data=form, headers={"origin": origin})

    def call(self, path: str, status: int, content: dict[str, object]) -> httpx2.Response:
        """Send JSON, as a script of the pages does.

        Raises:
            CommandFailed: It is answered by another status, or not at all.
        """
        return self._sent("POST", path, status, json=content, headers={"origin": URL})

    def log_in(self, token: str, following: str = "/runs") -> None:
        """Come in with a token.

        Raises:
            CommandFailed: It does not let anybody in, or leads elsewhere.
        """
        answer = self.post("/login", 303, token=token, next=following)
        require(answer.headers["location"] == following, f"a login leads to {answer.headers['location']}")

    def log_in_at_issuer(self) -> str:
        """Come in by the site's issuer.

        Returns: Where it led in the end.
        """
        answer = self.http.get("/login/oidc", params={"next": "/review"}, follow_redirects=True)
        require(answer.status_code == 200, f"the login at the issuer ends in {answer.status_code}")
        return str(answer.url)

    def _sent(self, method: str, path: str, status: int, **more: object) -> httpx2.Response:
        try:
            answer = self.http.request(method, path, **more)  # type: ignore[arg-type]
        except httpx2.HTTPError as error:
            raise CommandFailed(f"{method} {path}: {type(error).__name__} {error}") from error
        require(answer.status_code == status, f"{method} {path}: {answer.status_code}, and not {status}")
        return answer


class _Resolved(httpx2.HTTPTransport):
    """The DNS of a site: its names are the node's address."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.host
        if host.endswith(f".{DOMAIN}"):
            request = httpx2.Request(
                request.method,
                request.url.copy_with(host=NODE),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
        return super().handle_request(request)


def grpc_channel(service: str, ca_file: Path) -> grpc.Channel:
    """A channel to a service through the ingress controller."""
    name = f"{service}.{DOMAIN}"
    options = [("grpc.ssl_target_name_override", name), ("grpc.default_authority", name), ("grpc.enable_http_proxy", 0)]
    return grpc.secure_channel(f"{NODE}:443", grpc.ssl_channel_credentials(ca_file.read_bytes()), options)


def require(is_so: bool, otherwise: str) -> None:
    """Hold something to be so.

    Raises:
        CommandFailed: It is not.
    """
    if not is_so:
        raise CommandFailed(f"Pages: {otherwise}")
