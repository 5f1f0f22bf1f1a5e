"""A channel that is opened anew when its credentials change, below stubs that live as long as the process.

A channel's TLS credentials are fixed when it is opened, and a service's certificate expires before the service ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import grpc

from shared.reloaded import Reloaded

_Open = Callable[[grpc.ChannelCredentials], grpc.Channel]


class ReopeningChannel(grpc.Channel):
    """Calls go over a channel with the credentials of the files as they are at that moment.

    A call in flight ends on the channel that it began on: the channel before the present one stays open.

    Args:
        credentials: The present credentials.
        open_channel: Opens a channel with them.
    """

    def __init__(self, credentials: Reloaded[grpc.ChannelCredentials], open_channel: _Open) -> None:
        self._credentials = credentials
        self._open_channel = open_channel
        self._lock = threading.Lock()
        self._used = credentials.get()
        self._channels = [open_channel(self._used)]

    def current(self) -> grpc.Channel:
        """The channel for the next call."""
        found = self._credentials.get()
        with self._lock:
            if found is not self._used:
                self._used = found
                self._channels.append(self._open_channel(found))
                for old in self._channels[:-2]:
                    old.close()
                del self._channels[:-2]
            return self._channels[-1]

    def unary_unary(self, *arguments: Any, **named: Any) -> Any:
        """See `grpc.Channel`."""
        return _Callable(self, lambda channel: channel.unary_unary(*arguments, **named))

    def unary_stream(self, *arguments: Any, **named: Any) -> Any:
        """See `grpc.Channel`."""
        return _Callable(self, lambda channel: channel.unary_stream(*arguments, **named))

    def stream_unary(self, *arguments: Any, **named: Any) -> Any:
        """See `grpc.Channel`."""
        return _Callable(self, lambda channel: channel.stream_unary(*arguments, **named))

    def stream_stream(self, *arguments: Any, **named: Any) -> Any:
        """See `grpc.Channel`."""
        return _Callable(self, lambda channel: channel.stream_stream(*arguments, **named))

    def subscribe(self, callback: Any, try_to_connect: bool = False) -> None:
        """See `grpc.Channel`; holds for the channel that is current now."""
        self.current().subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Any) -> None:
        """See `grpc.Channel`."""
        with self._lock:
            for channel in self._channels:
                channel.unsubscribe(callback)

    def close(self) -> None:
        """Close all."""
        with self._lock:
            for channel in self._channels:
                channel.close()

    def __enter__(self) -> ReopeningChannel:
        """Use as a context that closes at its end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


class _Callable:
    """What a stub holds for a method: bound to a channel anew when the channel is another."""

    def __init__(self, owner: ReopeningChannel, bind: Callable[[grpc.Channel], Any]) -> None:
        self._owner = owner
        self._bind = bind
        self._bound: tuple[grpc.Channel | None, Any] = (None, None)

    def _current(self) -> Any:
        channel, bound = self._bound
        now = self._owner.current()
        if channel is not now:
            bound = self._bind(now)
            self._bound = (now, bound)
        return bound

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._current()(*arguments, **named)

    def with_call(self, *arguments: Any, **named: Any) -> Any:
        return self._current().with_call(*arguments, **named)

    def future(self, *arguments: Any, **named: Any) -> Any:
        return self._current().future(*arguments, **named)
