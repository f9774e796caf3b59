"""moto's S3 in a process of its own, behind a front that keeps connections open.

moto's own front closes every connection, holds its thread for another 10 ms, and lists a folder per request to find
out which service is meant. This one takes half the time per request.
"""

from __future__ import annotations

import functools
import gc
import io
import logging
import threading
import traceback
from collections.abc import Callable, Iterable
from http.client import responses
from typing import Any

from moto.core import errors
from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from tests.servers.lifeline import announce, end_with_parent

ONE_AT_A_TIME = threading.Lock()
"""moto looks whether a key exists and then writes it: without a lock two conditional writes may both succeed."""


class KeepAliveHandler(MotoRequestHandler):
    """Reads whole requests and sends whole answers, and so may keep the connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rbufsize = 1 << 18

    def run_wsgi(self) -> None:
        """Answer one request; one whose body ends early is dropped: no key ever holds part of a value."""
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        environ = self.make_environ()
        body = self._read_body(environ)
        if body is None:
            self.close_connection = True
            return
        environ["wsgi.input"] = io.BytesIO(body)
        environ["wsgi.input_terminated"] = True
        self._send(*self._call(environ))

    def log_request(self, *_: Any) -> None:
        """Log nothing."""

    def _read_body(self, environ: dict[str, Any]) -> bytes | None:
        if environ.get("wsgi.input_terminated"):
            return bytes(environ["wsgi.input"].read())
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = bytes(self.rfile.read(length)) if length else b""
        return body if len(body) == length else None

    def _call(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        started: list[Any] = []
        pieces: list[bytes] = []

        def start_response(*args: Any) -> Callable[[bytes], object]:
            started.append(args)
            return pieces.append

        try:
            with ONE_AT_A_TIME:
                answer = self.server.app(environ, start_response)
                body = b"".join([*pieces, *answer])
                if hasattr(answer, "close"):
                    answer.close()
        except Exception:  # noqa: BLE001  # moto raises on requests that no client of S3 makes
            return "500 Internal Server Error", [], traceback.format_exc().encode()
        return started[-1][0], started[-1][1], body

    def _send(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        code = int(status.split()[0])
        lines = [f"HTTP/1.1 {code} {responses.get(code, '')}", f"Date: {self.date_time_string()}"]
        # Flask and moto both say Connection and Content-Length at times.
        lines += [f"{key}: {value}" for key, value in headers if key.lower() not in {"connection", "content-length"}]
        head_only = self.command == "HEAD"
        length = next((value for key, value in headers if key.lower() == "content-length"), len(body))
        if code not in {204, 304}:
            lines.append(f"Content-Length: {length if head_only else len(body)}")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        self.wfile.write(head if head_only else head + body)


def make_application() -> Callable[..., Iterable[bytes]]:
    """Return an application that is S3, and below `/moto-api` moto's own control."""
    s3, control = create_backend_app("s3"), create_backend_app("moto_api")

    def choose(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return (control if environ["PATH_INFO"].startswith("/moto-api") else s3)(environ, start_response)

    return choose


def main() -> None:
    """Serve until the parent is gone."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    end_with_parent()
    # moto makes its table of errors for each answer that is one: as long as all the rest of a request takes.
    errors.ErrorLookupFactory = functools.cache(errors.ErrorLookupFactory)  # type: ignore[misc, assignment]
    server = make_server("127.0.0.1", 0, make_application(), threaded=True, request_handler=KeepAliveHandler)
    gc.freeze()
    announce(server.port)
    server.serve_forever()


if __name__ == "__main__":
    main()
