"""The pages of the console on a real controller, whose services are small stand-ins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from fastapi import FastAPI
from fastapi.testclient import TestClient

from shared.rpc.channels import Channels
from web.app import create_app
from web.server import WebServer, address_of, bind
from web.settings import WebSettings

URL = "http://127.0.0.1:8080"
START = "the token of this start"
#: What a browser sends with a form of these pages.
OURS = {"origin": URL}


@contextmanager
def console_of(house: Any, **overrides: Any) -> Iterator[tuple[TestClient, grpc.Channel]]:
    """Pages on the controller of a `House`, and the controller's channel.

    Args:
        house: The controller and the services that it calls.
        overrides: Settings of the controller. Where `auth` is none of them, somebody with all rights is logged in.
    """
    targets = {**house.targets, "controller": f"unix:{house.folder}/c.sock"}
    with house.controller(**overrides) as channel, Channels(targets) as channels:
        app = create_app(WebSettings(auth=overrides.get("auth", {})), channels, start_token=START, owner="ann")
        client = TestClient(app, base_url=URL, raise_server_exceptions=False)
        if "auth" not in overrides:
            client.get("/login", params={"token": START}, follow_redirects=False)
        yield client, channel


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The pages as a browser reaches them: their address."""
    bound = bind("127.0.0.1:0")
    with WebServer(app, bound):
        yield f"http://{address_of(bound)}"
