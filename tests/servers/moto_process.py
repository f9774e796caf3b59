"""moto's S3 in a process of its own, behind a front that keeps connections open.

moto's own front closes every connection, holds its thread for another 10 ms, and lists a folder per request to find
out which service is meant. This one has a single thread: more would only wait for each other, and moto, which looks
whether a key exists and then writes it, would let two conditional writes succeed.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
from collections.abc import Callable, Iterable
from typing import Any

from moto.core import errors, serialize
from moto.moto_server.werkzeug_app import create_backend_app

from tests.servers.connections import serve_clients
from tests.servers.lifeline import end_with_parent
from tests.servers.wsgi import Application, WsgiFront


def make_application() -> Application:
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
    # It parses the time of each key for every listing: half of what a listing takes.
    serialize.parse_to_aware_datetime = functools.lru_cache(1 << 16)(serialize.parse_to_aware_datetime)
    front = WsgiFront(make_application())
    gc.freeze()
    asyncio.run(serve_clients(front))


if __name__ == "__main__":
    main()
