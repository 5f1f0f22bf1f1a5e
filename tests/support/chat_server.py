"""An OpenAI-compatible server on this machine that misbehaves as it is told, and keeps count of what it stated."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from shared.chat.endpoints import Endpoint

Handler = BaseHTTPRequestHandler
#: What a server does with one request: writes an answer, or something else.
Behaviour = Callable[["ChatServer", Handler, dict[str, Any]], None]


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def content(self) -> Any:
        """Of the last message."""
        return self.body["messages"][-1]["content"]

    @property
    def text(self) -> str:
        """The text of the last message."""
        return self.content if isinstance(self.content, str) else str(self.content[-1]["text"])


@dataclass
class ChatServer:
    """Does with each request what the script says; where it says nothing, `otherwise`.

    Attributes:
        script: What the next requests meet, in the order in which they come.
        otherwise: What the others meet.
        asked: What came.
        stated: Tokens in and out of each answer that states them.
        base_url: Where it listens.
        most_at_once: Most requests that were at work at a time.
        ended: Set once the server closes: what hangs, ends.
    """

    script: deque[Behaviour] = field(default_factory=deque)
    otherwise: Behaviour = field(default_factory=lambda: says("Yes."))
    asked: list[Asked] = field(default_factory=list)
    stated: list[tuple[int, int]] = field(default_factory=list)
    base_url: str = ""
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)

    def usd(self, usd_in: float, usd_out: float) -> float:
        """What the stated tokens cost at these prices a million."""
        return sum(n_in * usd_in + n_out * usd_out for n_in, n_out in self.stated) / 1e6

    def handle(self, handler: Handler) -> None:
        """Do what the script says."""
        raw = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        body = json.loads(raw or b"{}")
        with self.lock:
            self.asked.append(Asked(handler.path, dict(handler.headers), body))
            behaviour = self.script.popleft() if self.script else self.otherwise
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            with suppress(OSError):  # the client has gone
                behaviour(self, handler, body)
        finally:
            with self.lock:
                self.at_once -= 1


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    """Serve on a port of this machine."""
    server = ChatServer()

    class Own(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_POST(self) -> None:
            server.handle(self)

        do_GET = do_POST  # noqa: N815

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    listener.daemon_threads = True
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    server.base_url = f"http://127.0.0.1:{listener.server_port}/v1"
    try:
        yield server
    finally:
        server.ended.set()
        listener.shutdown()
        listener.server_close()
        thread.join()


def token(text: str, logprob: float | None = -0.5, rivals: Mapping[str, float] | None = None) -> dict[str, Any]:
    """A token of a reply as the protocol has it."""
    top = [{"token": rival, "logprob": value, "bytes": None} for rival, value in (rivals or {}).items()]
    return {"token": text, "logprob": logprob, "bytes": list(text.encode()), "top_logprobs": top}


def says(
    text: str | Callable[[dict[str, Any]], str],
    *,
    usage: Any = (100, 5),
    finish: str = "stop",
    tokens: list[dict[str, Any]] | None = None,
) -> Behaviour:
    """A whole answer.

    Args:
        text: What it says, or how to make that of the request's body.
        usage: Tokens in and out that it states; None states none; anything else stands there as it is.
        finish: Why it ended.
        tokens: With their probabilities.
    """

    def behave(server: ChatServer, handler: Handler, body: dict[str, Any]) -> None:
        said = text if isinstance(text, str) else text(body)
        choice: dict[str, Any] = {
            "index": 0,
            "finish_reason": finish,
            "message": {"role": "assistant", "content": said},
            "logprobs": {"content": tokens} if tokens is not None else None,
        }
        answer: dict[str, Any] = {"id": "x", "object": "chat.completion", "model": f"{body.get('model')}-0806"}
        answer["choices"] = [choice]
        if isinstance(usage, tuple):
            with server.lock:
                server.stated.append(usage)
            answer["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
        elif usage is not None:
            answer["usage"] = usage
        _send(handler, 200, json.dumps(answer).encode())

    return behave


def refuses(status: int, headers: Mapping[str, str] | None = None, error: Any = None) -> Behaviour:
    """A status with headers; its text is one that nobody may see elsewhere."""
    body = json.dumps({"error": error if error is not None else {"message": "secret inside"}}).encode()
    return lambda server, handler, _: _send(handler, status, body, headers=headers or {})


def redirects(where: str) -> Behaviour:
    """Elsewhere."""
    return refuses(307, {"Location": where})


def sends(data: bytes, content_type: str = "application/json", headers: Mapping[str, str] | None = None) -> Behaviour:
    """These bytes with status 200, whatever they are."""
    return lambda server, handler, _: _send(handler, 200, data, content_type, headers or {})


def drips(server: ChatServer, handler: Handler, body: dict[str, Any]) -> None:
    """Status and headers, then a byte at a time, for ever."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(2**30))
    handler.end_headers()
    _drip(server, handler, b" ")


def drips_headers(server: ChatServer, handler: Handler, body: dict[str, Any]) -> None:
    """A header that never ends, a byte at a time."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    _drip(server, handler, b"x")


def floods(server: ChatServer, handler: Handler, body: dict[str, Any]) -> None:
    """More than anybody should read."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    while not server.ended.is_set():
        handler.wfile.write(b" " * 2**20)


def hangs(server: ChatServer, handler: Handler, body: dict[str, Any]) -> None:
    """Nothing at all."""
    server.ended.wait()
    handler.close_connection = True


def cuts(server: ChatServer, handler: Handler, body: dict[str, Any]) -> None:
    """The beginning of an answer, then the end of the connection."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [{"mess')
    handler.close_connection = True


def hangs_up(server: ChatServer, handler: Handler, body: dict[str, Any]) -> None:
    """The end of the connection, without a word."""
    handler.close_connection = True


def _drip(server: ChatServer, handler: Handler, drop: bytes) -> None:
    while not server.ended.is_set():
        handler.wfile.write(drop)
        handler.wfile.flush()


def _send(
    handler: Handler,
    status: int,
    data: bytes,
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> None:
    handler.send_response(status)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.send_header("Content-Type", content_type)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


def endpoint_of(server: ChatServer, **changes: Any) -> Endpoint:
    """The server as a site names it."""
    values = {
        "base_url": server.base_url,
        "model": "gpt-4o",
        "usd_per_million": {"in": 2.5, "out": 10.0},
        "prices_of": "2026-11-01",
        "timeout_seconds": 20,
        **changes,
    }
    return Endpoint.model_validate(values)
