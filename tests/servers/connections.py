"""Both sides of the proxy: connections of clients, and connections to the server, which are kept and used again."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Protocol

from tests.servers.lifeline import announce
from tests.servers.messages import HEAD_END, Body, Head, frame_answer, frame_request, parse_head

if TYPE_CHECKING:
    from tests.servers.exchange import Exchange, Relay

MAX_AHEAD = 1 << 20
"""Bytes that are taken from a client before the exchange is ready for them."""
LINGER_RESET = struct.pack("ii", 1, 0)


class Dispatcher(Protocol):
    """Whatever makes an exchange of a request."""

    def dispatch(self, client: Client, head: Head, body: Body) -> Exchange:
        """Return the exchange for a request; it has begun or will begin by itself."""


class Connection(asyncio.Protocol):
    """A connection whose reading can be paused by the one that it feeds."""

    transport: asyncio.Transport
    exchange: Exchange | None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def reset(self) -> None:
        """Drop the connection so that the other side sees a reset, not an end."""
        raw = self.transport.get_extra_info("socket")
        if raw is not None and raw.fileno() >= 0:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
        self.transport.abort()


class Client(Connection):
    """A connection of a client: one request after the other."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.exchange = None
        self._dispatcher = dispatcher
        self._buffer = b""
        self._body = Body(0)
        self._feeding = False

    def data_received(self, data: bytes) -> None:
        if self._feeding:
            self._pass(data)
            return
        self._buffer += data
        if self.exchange is None:
            self._next()
        elif len(self._buffer) > MAX_AHEAD:
            self.transport.pause_reading()

    def feed(self) -> None:
        """Pass the body of the request to the exchange from now on."""
        self._feeding = True
        data, self._buffer = self._buffer, b""
        self._pass(data)
        if self._feeding:
            self.transport.resume_reading()

    def finish(self, *, close: bool) -> None:
        """End the exchange: the answer is complete. Then close, or go on to the next request."""
        self.exchange = None
        if close or self._feeding:
            self._feeding = False
            self.transport.close()
            return
        self.transport.resume_reading()
        if self._buffer:
            asyncio.get_running_loop().call_soon(self._next)

    def pause_writing(self) -> None:
        if self.exchange is not None:
            self.exchange.pause_answer()

    def resume_writing(self) -> None:
        if self.exchange is not None:
            self.exchange.resume_answer()

    def connection_lost(self, exc: Exception | None) -> None:
        exchange, self.exchange = self.exchange, None
        self._feeding = False
        if exchange is not None:
            exchange.on_client_lost()

    def _next(self) -> None:
        if self.exchange is not None or self.transport.is_closing():
            return
        if not self._buffer[:1].isalpha():
            # The greeting of TLS, for one.
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            self.transport.close()
            return
        end = self._buffer.find(HEAD_END)
        if end < 0:
            return
        head = parse_head(self._buffer[:end])
        self._buffer = self._buffer[end + len(HEAD_END) :]
        if b"expect" in head.headers:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._body = frame_request(head)
        self.exchange = self._dispatcher.dispatch(self, head, self._body)
        self.exchange.start()

    def _pass(self, data: bytes) -> None:
        exchange, body = self.exchange, self._body
        if exchange is None:
            return
        count = body.take(data)
        if body.done:
            self._feeding = False
            self._buffer = data[count:]
            data = data[:count]
        exchange.on_body(data)
        if body.done:
            exchange.on_body_end()


async def serve_clients(dispatcher: Dispatcher, port: int = 0) -> None:
    """Announce the port, a free one unless it is given, and serve until the process ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Client(dispatcher), "127.0.0.1", port, backlog=1024)
    announce(server.sockets[0].getsockname()[1])
    await server.serve_forever()


class Upstream(Connection):
    """A connection to the server: idle in the pool, or at work for one exchange."""

    exchange: Relay | None

    def __init__(self, pool: Pool) -> None:
        self.exchange = None
        self._pool = pool
        self._buffer = b""
        self._body: Body | None = None
        self._keep = True

    def data_received(self, data: bytes) -> None:
        if self.exchange is None:
            self.transport.abort()
        elif self._body is None:
            self._buffer += data
            self._read_head()
        else:
            self._pass(data)

    def eof_received(self) -> bool:
        if (
            self.exchange is not None
            and self._body is not None
            and not self._body.done
            and self._body.ends_with_connection
        ):
            self._keep = False
            self._complete()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.forget(self)
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.on_upstream_lost()

    def pause_writing(self) -> None:
        if self.exchange is not None:
            self.exchange.client.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.exchange is not None:
            self.exchange.client.transport.resume_reading()

    def drop(self) -> None:
        """Give the exchange up together with the connection."""
        self.exchange = None
        self.transport.abort()

    def _read_head(self) -> None:
        end = self._buffer.find(HEAD_END)
        if end < 0 or self.exchange is None:
            return
        head = parse_head(self._buffer[:end])
        rest, self._buffer = self._buffer[end + len(HEAD_END) :], b""
        if head.start[1].startswith(b"1"):
            self._buffer = rest
            self._read_head()
            return
        self._body = frame_answer(head, self.exchange.method)
        self._keep = not head.says_close()
        self.exchange.on_head(head, self._body)
        self._pass(rest)

    def _pass(self, data: bytes) -> None:
        assert self.exchange is not None
        assert self._body is not None
        count = self._body.take(data)
        self._keep = self._keep and count == len(data)
        self.exchange.on_data(data[:count] if count < len(data) else data)
        if self._body.done:
            self._complete()

    def _complete(self) -> None:
        exchange, self.exchange, self._body = self.exchange, None, None
        assert exchange is not None
        if self._keep and exchange.request_sent:
            self._pool.keep(self)
        else:
            self.transport.abort()
        exchange.on_end()


class Pool:
    """Connections to the server that wait for work."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._idle: list[Upstream] = []

    def take(self) -> Upstream | None:
        """Return a connection that waits, the one used last, or None."""
        return self._idle.pop() if self._idle else None

    async def connect(self) -> Upstream:
        """Return a new connection."""
        loop = asyncio.get_running_loop()
        _, upstream = await loop.create_connection(lambda: Upstream(self), *self._address)
        return upstream

    def keep(self, upstream: Upstream) -> None:
        """Take a connection back whose exchange is over."""
        upstream.transport.resume_reading()
        self._idle.append(upstream)

    def forget(self, upstream: Upstream) -> None:
        """Drop a connection that the server closed."""
        if upstream in self._idle:
            self._idle.remove(upstream)
