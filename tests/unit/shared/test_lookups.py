"""Names of servers are looked up in no more time than a call has."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from shared.chat.client import OpenAIChat
from shared.chat.connection import Connection
from shared.chat.endpoints import Endpoint
from shared.chat.lookups import Lookups
from shared.chat.messages import ChatRequest
from shared.errors import Unavailable
from tests.support.chat_server import ChatServer, chat_server, says

ASKED = ChatRequest("Is it blurred?", max_tokens=10)
STREAM = (socket.AF_INET, socket.SOCK_STREAM, 6, "")


class Resolver:
    """Answers for every name, once it is let; counts how often it is asked."""

    def __init__(self, *addresses: str, is_hanging: bool = False) -> None:
        self.addresses = addresses
        self.may_answer = threading.Event()
        self.threads: list[threading.Thread] = []
        if not is_hanging:
            self.may_answer.set()

    def __call__(self, host: str, port: int, **options: Any) -> list[tuple[Any, ...]]:
        self.threads.append(threading.current_thread())
        self.may_answer.wait()
        return [(*STREAM, (address, port)) for address in self.addresses]


def chat_over(resolver: Resolver, server: ChatServer, timeout_seconds: float = 20.0) -> OpenAIChat:
    """A client of a server whose name only this resolver knows."""
    base_url = server.base_url.replace("127.0.0.1", "model.example")
    connection = Connection(
        base_url, lambda: "", None, timeout_seconds, 4, "endpoints.gpt-4o", lookups=Lookups(resolver)
    )
    prices = {"in": 2.5, "out": 10.0}
    values = {"base_url": base_url, "model": "m", "usd_per_million": prices, "prices_of": "2026-11-01"}
    return OpenAIChat("gpt-4o", Endpoint.model_validate({**values, "is_plaintext_allowed": True}), connection)


def test_a_resolver_that_hangs_costs_a_call_its_own_time_and_one_thread():
    resolver = Resolver("127.0.0.1", is_hanging=True)
    with chat_server() as server:
        chat = chat_over(resolver, server, timeout_seconds=0.05)
        for _ in range(3):
            with pytest.raises(Unavailable, match="cannot be reached"):
                chat.complete(ASKED)
        assert len(resolver.threads) == 1
        assert resolver.threads[0].daemon  # it keeps no process from ending
        assert not server.asked
        resolver.may_answer.set()
        resolver.threads[0].join()


def test_a_name_is_looked_up_again_once_the_resolver_is_back():
    resolver = Resolver("127.0.0.1", is_hanging=True)
    names = Lookups(resolver)
    with pytest.raises(TimeoutError):
        names.addresses("model.example", 80, 0.01)
    resolver.may_answer.set()
    resolver.threads[0].join()
    assert names.addresses("model.example", 80, 20) == ["127.0.0.1"]
    assert len(resolver.threads) == 2


def test_an_address_that_is_away_leaves_the_next_one():
    with chat_server() as server:
        server.otherwise = says("Yes.")
        chat = chat_over(Resolver("127.0.0.2", "127.0.0.1"), server)  # the server listens at the second alone
        assert chat.complete(ASKED).text == "Yes."
        assert server.asked[0].headers["Host"].startswith("model.example:")


@pytest.mark.parametrize("name", ["a.invalid", "a" * 70 + ".example", ""])
def test_a_name_that_the_system_does_not_know_is_an_error(name: str):
    def refuse(host: str, port: int, **options: Any) -> list[tuple[Any, ...]]:
        if host == "a.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        host.encode("idna")
        raise OSError("no name")

    with pytest.raises(OSError, match=r".") as caught:
        Lookups(refuse).addresses(name, 80, 20)
    assert not isinstance(caught.value, TimeoutError)


def test_a_name_with_several_rows_gives_each_address_once():
    assert Lookups(Resolver("127.0.0.1", "127.0.0.1", "::1")).addresses("x", 80, 20) == ["127.0.0.1", "::1"]
