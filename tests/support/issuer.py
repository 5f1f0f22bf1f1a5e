"""An OIDC issuer: keys, the JWTs that it signs, and a small HTTP server that publishes the keys and lets people log in.

It keeps to the rules that a login stands on: a code works once, for one client and one address, with its PKCE verifier.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

AUDIENCE = "medq"
CLIENT = "medq-pages"


class Issuer:
    """Signs tokens with keys that it can rotate.

    Attributes:
        url: Its `iss`; set when it publishes.
        n_asked: How often its keys were fetched.
        is_away: It answers with an error.
        redirect_to: It sends those who ask for its keys elsewhere.
        keys_at: Where its configuration says that the keys are, if not with itself.
        person: Claims of whoever logs in next; None: they are refused.
        seconds: How long their tokens hold.
    """

    def __init__(self, url: str = "https://issuer.test/realm") -> None:
        self.url = url
        self.n_asked = 0
        self.is_away = False
        self.redirect_to = ""
        self.keys_at = ""
        self.person: dict[str, object] | None = {"sub": "dr-who"}
        self.seconds = 300.0
        self._codes: dict[str, dict[str, str]] = {}
        self.published: list[dict[str, object]] = []
        self._keys: dict[str, tuple[str, object]] = {}

    def new_key(
        self, kid: str, algorithm: str = "ES256", *, is_published: bool = True, bits: int = 2048
    ) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
        key = (
            ec.generate_private_key(ec.SECP256R1())
            if algorithm == "ES256"
            else rsa.generate_private_key(public_exponent=65537, key_size=bits)
        )
        self._keys[kid] = (algorithm, key)
        if is_published:
            made_by = jwt.algorithms.ECAlgorithm if algorithm == "ES256" else jwt.algorithms.RSAAlgorithm
            self.published.append({**made_by.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"})
        return key

    def configuration(self) -> str:
        """What OIDC discovery tells."""
        places = {"authorization_endpoint": "/authorize", "token_endpoint": "/token"}
        told = {name: self.url + path for name, path in places.items()}
        keys = self.keys_at or self.url + "/keys"
        return json.dumps(
            {"issuer": self.url, "jwks_uri": keys, "id_token_signing_alg_values_supported": ["ES256"], **told}
        )

    def authorize(self, query: str) -> str:
        """Where a browser goes from the login: back to the client, with a code or an error."""
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        assert (asked["client_id"], asked["response_type"], asked["code_challenge_method"]) == (CLIENT, "code", "S256")
        answer = {"state": asked["state"]}
        if self.person is None:
            answer["error"] = "access_denied"
        else:
            answer["code"] = secrets.token_urlsafe()
            self._codes[answer["code"]] = asked
        return f"{asked['redirect_uri']}?{urlencode(answer)}"

    def exchange(self, body: str) -> tuple[int, str]:
        """Status and body of the answer to a code."""
        sent = {name: values[0] for name, values in parse_qs(body).items()}
        asked = self._codes.pop(sent.get("code", ""), None)
        digest = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or (asked["code_challenge"], asked["redirect_uri"]) != (challenge, sent["redirect_uri"]):
            return 400, json.dumps({"error": "invalid_grant"})
        kid = next(iter(self._keys))
        access = self.token(kid, seconds=self.seconds, **(self.person or {}))
        named = self.token(kid, aud=CLIENT, nonce=asked.get("nonce"), **(self.person or {}))
        told = {"access_token": access, "id_token": named, "token_type": "Bearer", "expires_in": int(self.seconds)}
        return 200, json.dumps(told)

    def jwks(self) -> str:
        return json.dumps({"keys": self.published})

    def token(self, kid: str, *, seconds: float = 300, headers: dict[str, str] | None = None, **claims: object) -> str:
        """A JWT that expires in so many seconds; a claim that is None is left out."""
        algorithm, key = self._keys[kid]
        now = datetime.now(UTC)
        body = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "dr-who",
            "iat": now - timedelta(seconds=600),
            "exp": now + timedelta(seconds=seconds),
            "roles": ["reader"],
            **claims,
        }
        body = {name: value for name, value in body.items() if value is not None}
        return jwt.encode(body, key, algorithm=algorithm, headers={"kid": kid, **(headers or {})})


@contextmanager
def publishing(
    issuer: Issuer, pair: tuple[Path, Path] | None = None, at: tuple[str, int] = ("127.0.0.1", 0)
) -> Iterator[Issuer]:
    """Serve the issuer's configuration and keys on this machine; by https with a certificate and its key."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if issuer.is_away:
                self.send_error(503)
            elif self.path == "/realm/.well-known/openid-configuration":
                self._answer(issuer.configuration())
            elif self.path.startswith("/realm/authorize?"):
                self.send_response(302)
                self.send_header("Location", issuer.authorize(urlsplit(self.path).query))
                self.end_headers()
            elif issuer.redirect_to:
                self.send_response(302)
                self.send_header("Location", issuer.redirect_to)
                self.end_headers()
            else:
                issuer.n_asked += 1
                self._answer(issuer.jwks())

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, body = issuer.exchange(sent) if self.path == "/realm/token" else (404, "")
            self._answer(body, status)

        def _answer(self, body: str, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(at, Handler)
    server.daemon_threads = False
    if pair is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*pair)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    issuer.url = f"http{'s' if pair else ''}://{at[0]}:{server.server_port}/realm"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
