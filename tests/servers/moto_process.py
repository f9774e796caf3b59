"""moto's S3 in a process of its own, behind a front that keeps connections open.

moto's own front closes every connection, holds its thread for another 10 ms, and lists a folder per request to find
out which service is meant. This one is the client's side of the proxy: one thread reads all connections and answers
one request after the other. Threads would only wait for each other, and moto, which looks whether a key exists and
then writes it, would let two conditional writes succeed.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import io
import logging
import sys
import traceback
from collections.abc import Callable, Iterable
from http.client import responses
from typing import Any
from urllib.parse import unquote_to_bytes

from moto.core import errors, serialize
from moto.moto_server.werkzeug_app import create_backend_app

from tests.servers.connections import Client
from tests.servers.exchange import Call, Exchange
from tests.servers.lifeline import announce, end_with_parent
from tests.servers.messages import Body, Head
from tests.servers.traffic import Request

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""What answers requests as WSGI says."""


class Answer(Exchange):
    """Reads a whole request and sends a whole answer; of a body that ends early no key ever holds a part."""

    def __init__(self, call: Call, application: Application) -> None:
        super().__init__(call)
        self._application = application
        call.body.payload = bytearray()

    def on_body_end(self) -> None:
        """Answer the request."""
        environ = make_environ(self.call.head, bytes(self.call.body.payload or b""))
        self.answer(render(self.method, *ask(self._application, environ)))
        self.finish()


class Front:
    """Makes an answer of each request."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def dispatch(self, client: Client, head: Head, body: Body) -> Exchange:
        """Return the exchange for a request."""
        uncounted = Request(-1, "", "", "", "", conditional=False)
        return Answer(Call(client, head, body, uncounted, None, 0.0, lambda _: None), self._application)


def make_environ(head: Head, payload: bytes) -> dict[str, Any]:
    """Return a request as WSGI describes it."""
    method, target = head.start[0].decode(), head.start[1].decode("latin-1")
    path, _, query = target.partition("?")
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": target,
        "REQUEST_URI": target,
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(payload),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in head.headers.items():
        key = name.decode("latin-1").upper().replace("-", "_")
        environ[key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"] = value.decode("latin-1")
    return environ


def ask(application: Application, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return status, headers and body of the answer to a request."""
    started: list[Any] = []
    pieces: list[bytes] = []

    def start_response(*args: Any) -> Callable[[bytes], object]:
        started.append(args)
        return pieces.append

    try:
        answer = application(environ, start_response)
        body = b"".join([*pieces, *answer])
        if hasattr(answer, "close"):
            answer.close()
    except Exception:  # noqa: BLE001  # moto raises on requests that no client of S3 makes
        return "500 Internal Server Error", [], traceback.format_exc().encode()
    return started[-1][0], started[-1][1], body


def render(method: str, status: str, headers: list[tuple[str, str]], body: bytes) -> bytes:
    """Return an answer as it is sent."""
    code = int(status.split()[0])
    lines = [f"HTTP/1.1 {code} {responses.get(code, '')}"]
    # Flask and moto both say Connection and Content-Length at times.
    lines += [f"{key}: {value}" for key, value in headers if key.lower() not in {"connection", "content-length"}]
    head_only = method == "HEAD"
    if code not in {204, 304}:
        length = next((value for key, value in headers if key.lower() == "content-length"), len(body))
        lines.append(f"Content-Length: {length if head_only else len(body)}")
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head if head_only else head + body


def make_application() -> Application:
    """Return an application that is S3, and below `/moto-api` moto's own control."""
    s3, control = create_backend_app("s3"), create_backend_app("moto_api")

    def choose(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return (control if environ["PATH_INFO"].startswith("/moto-api") else s3)(environ, start_response)

    return choose


async def serve() -> None:
    """Serve until the process ends."""
    front = Front(make_application())
    server = await asyncio.get_running_loop().create_server(lambda: Client(front), "127.0.0.1", 0, backlog=1024)
    announce(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def main() -> None:
    """Serve until the parent is gone."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    end_with_parent()
    # moto makes its table of errors for each answer that is one: as long as all the rest of a request takes.
    errors.ErrorLookupFactory = functools.cache(errors.ErrorLookupFactory)  # type: ignore[misc, assignment]
    # It parses the time of each key for every listing: half of what a listing takes.
    serialize.parse_to_aware_datetime = functools.lru_cache(1 << 16)(serialize.parse_to_aware_datetime)
    gc.freeze()
    asyncio.run(serve())


if __name__ == "__main__":
    main()
