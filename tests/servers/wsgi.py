"""An application of WSGI behind the connections of the proxy: one thread answers one request after the other."""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Callable, Iterable
from http.client import responses
from typing import Any
from urllib.parse import unquote_to_bytes

from tests.servers.connections import Client
from tests.servers.exchange import Answer
from tests.servers.messages import Body, Head

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""What answers requests as WSGI says."""


class WsgiAnswer(Answer):
    """A request to the application; of one whose body ends early it never hears."""

    def __init__(self, client: Client, head: Head, body: Body, application: Application) -> None:
        super().__init__(client, head, body)
        self._application = application

    def respond(self, payload: bytes) -> bytes:
        return render(self.method, *ask(self._application, make_environ(self.call.head, payload)))


class WsgiFront:
    """Has an application answer each request."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def dispatch(self, client: Client, head: Head, body: Body) -> WsgiAnswer:
        """Return the exchange for a request."""
        return WsgiAnswer(client, head, body, self._application)


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
    except Exception:  # noqa: BLE001  # it goes to the client as any other answer
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
