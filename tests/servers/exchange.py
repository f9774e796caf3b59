"""One request and its answer: how the proxy passes them on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.servers.messages import Body, Head
from tests.servers.traffic import Request

if TYPE_CHECKING:
    from tests.servers.connections import Client, Pool, Upstream
    from tests.servers.rules import Rule

HOP_BY_HOP = (b"connection", b"keep-alive", b"expect", b"proxy-connection")
"""Headers that are about one connection, not about the message."""


@dataclass(slots=True)
class Call:
    """What an exchange is about."""

    client: Client
    head: Head
    body: Body
    request: Request
    rule: Rule | None
    delay: float
    """Seconds to wait before anything happens."""
    ended: Callable[[Request], None]
    """Called once when nothing more happens."""


class Exchange:
    """A request and its answer. This one reads the request and does nothing with it."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.client = call.client
        self.request = call.request
        self.method = call.head.start[0].decode()
        self._timer: asyncio.TimerHandle | None = None
        self._over = False

    def start(self) -> None:
        """Begin after the delay."""
        if self.call.delay > 0:
            self._timer = asyncio.get_running_loop().call_later(self.call.delay, self.begin)
        else:
            self.begin()

    def begin(self) -> None:
        """Do the work; by default, read the body of the request."""
        self.client.feed()

    def on_body(self, data: bytes) -> None:
        """Take a piece of the request's body: at least one, the first may be empty."""
        self.request.bytes_in += len(data)

    def on_body_end(self) -> None:
        """The request is complete."""

    def on_client_lost(self) -> None:
        """The client is gone."""
        self.end()

    def pause_answer(self) -> None:
        """The client does not take more for now."""

    def resume_answer(self) -> None:
        """The client takes more."""

    def render_answer(self, head: Head, *without: bytes, length: int | None = None) -> bytes:
        """Return the head of the answer for the client, which may have asked for the end of the connection."""
        rendered = head.render(*HOP_BY_HOP, *without, length=length)
        return rendered[:-2] + b"Connection: close\r\n\r\n" if self.call.head.says_close() else rendered

    def answer(self, data: bytes) -> None:
        """Write a part of the answer."""
        self.client.transport.write(data)

    def finish(self, *, close: bool = False) -> None:
        """End with a complete answer."""
        self.end()
        self.client.finish(close=close or self.call.head.says_close())

    def reset(self) -> None:
        """End with a reset of the client's connection."""
        self.end()
        self.client.exchange = None
        self.client.reset()

    def get_position(self, length: int) -> int:
        """Return the byte of a body of this length that the rule is about: the middle where it says none."""
        at = None if self.call.rule is None else self.call.rule.at
        if at is None:
            return length // 2
        return max(0, length + at) if at < 0 else min(at, length)

    def flip(self, payload: bytearray) -> None:
        """Flip one bit in the byte that the rule is about; a fault without a byte to flip is named so."""
        if payload:
            payload[min(self.get_position(len(payload)), len(payload) - 1)] ^= 1
        else:
            self.request.fault += ": empty body"

    def end(self) -> None:
        """Count what happened, once."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._over:
            self._over = True
            self.call.ended(self.request)


class Answer(Exchange):
    """Answers a request by itself when all of it is there. It is not counted, and no rule is about it."""

    def __init__(self, client: Client, head: Head, body: Body) -> None:
        uncounted = Request(-1, "", "", "", "", conditional=False)
        super().__init__(Call(client, head, body, uncounted, None, 0.0, lambda _: None))
        self._payload = body.payload = bytearray()

    def on_body_end(self) -> None:
        self.answer(self.respond(bytes(self._payload)))
        self.finish()

    def respond(self, payload: bytes) -> bytes:
        """Return the answer to a request with this body, head and all."""
        raise NotImplementedError


class Relay(Exchange):
    """Passes the request to the server and the answer back, in pieces as they come.

    The head goes as it came, Host and all: a signature covers Host, and a server with path-style addressing takes
    any Host.
    """

    def __init__(self, call: Call, pool: Pool) -> None:
        super().__init__(call)
        self.request_sent = False
        self._pool = pool
        self._upstream: Upstream | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._unsent = b""
        self._untold = b""
        self._close = False

    def begin(self) -> None:
        """Get a connection to the server."""
        self._unsent = self.render_request()
        upstream = self._pool.take()
        if upstream is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
        else:
            self._attach(upstream)

    def render_request(self) -> bytes:
        """Return the head of the request for the server."""
        return self.call.head.render(*HOP_BY_HOP)

    def send(self) -> None:
        """Send the request, now that there is a connection."""
        self.client.feed()

    def on_body(self, data: bytes) -> None:
        super().on_body(data)
        self.write(data)

    def on_body_end(self) -> None:
        self.request_sent = True

    def write(self, data: bytes) -> None:
        """Send a piece of the request to the server, the first with the head before it."""
        if self._unsent:
            data, self._unsent = self._unsent + data, b""
        if self._upstream is not None:
            self._upstream.transport.write(data)

    def on_head(self, head: Head, body: Body) -> None:
        """The head of the answer came."""
        self.request.status = int(head.start[1])
        self._close = body.ends_with_connection
        self._untold = self.render_answer(head)

    def on_data(self, data: bytes) -> None:
        """A piece of the answer's body came: at least one, the first may be empty."""
        self.request.bytes_out += len(data)
        if self._untold:
            data, self._untold = self._untold + data, b""
        self.answer(data)

    def on_end(self) -> None:
        """The answer is complete, and the connection to the server is free again."""
        self._upstream = None
        self.request.landed = True
        self.conclude()

    def conclude(self) -> None:
        """End the exchange after the whole answer came."""
        self.finish(close=self._close)

    def on_upstream_lost(self) -> None:
        """The server dropped the connection: so does the proxy."""
        self._upstream = None
        self.reset()

    def on_client_lost(self) -> None:
        super().on_client_lost()
        if self._connecting is not None:
            self._connecting.cancel()
        if self._upstream is not None:
            self._upstream.drop()

    def pause_answer(self) -> None:
        if self._upstream is not None:
            self._upstream.transport.pause_reading()

    def resume_answer(self) -> None:
        if self._upstream is not None:
            self._upstream.transport.resume_reading()

    async def _connect(self) -> None:
        try:
            upstream = await self._pool.connect()
        except OSError:
            self.reset()
            return
        self._attach(upstream)

    def _attach(self, upstream: Upstream) -> None:
        self._connecting = None
        self._upstream = upstream
        upstream.exchange = self
        self.send()
