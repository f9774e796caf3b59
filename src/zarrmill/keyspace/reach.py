"""Whether anything listens at an endpoint: a mistyped one is told at once, not after the patience of all retries."""

from __future__ import annotations

import os
import socket
import time
from urllib.parse import urlsplit

from zarrmill.errors import StoreUnavailableError

_PAUSES = (0.2, 0.8)
"""Seconds before a second and a third try."""
_SECONDS = 5.0
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def check_reachable(endpoint: str, where: str) -> None:
    """Raise StoreUnavailableError when nobody takes a connection to a URL's host; behind a proxy nobody knows."""
    parts = urlsplit(endpoint)
    if parts.hostname is None or any(os.environ.get(name) or os.environ.get(name.lower()) for name in _PROXIES):
        return
    address = (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
    for pause in (*_PAUSES, None):
        try:
            socket.create_connection(address, timeout=_SECONDS).close()
            return
        except OSError as error:
            if pause is None:
                reason = error.strerror or str(error)
                raise StoreUnavailableError(
                    f"{where} cannot be reached: {endpoint}: {reason}. See to the endpoint and the network."
                ) from error
            time.sleep(pause)
