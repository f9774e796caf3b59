"""keyspace/reach.py: a mistyped endpoint is told at once."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

import zarrmill.keyspace.reach as reach
from zarrmill.errors import StoreUnavailableError
from zarrmill.keyspace.reach import check_reachable


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "_PAUSES", (0.0, 0.0))
    for name in reach._PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def closed() -> Iterator[str]:
    """An endpoint of this machine on which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"


def test_a_server_that_listens_is_reachable() -> None:
    """Whoever takes the connection is asked nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        check_reachable(f"http://127.0.0.1:{server.getsockname()[1]}/path", "s3://bucket")


def test_a_closed_port_is_told(closed: str) -> None:
    """Where nobody listens, the location, the endpoint and the reason are told."""
    with pytest.raises(StoreUnavailableError, match=rf"s3://b/a cannot be reached: {closed}: Connection refused\. See"):
        check_reachable(closed, "s3://b/a")


def test_an_unknown_host_is_told() -> None:
    """A name that nobody knows is told as such."""
    with pytest.raises(StoreUnavailableError, match=r"cannot be reached: https://no\.such\.host\.invalid: "):
        check_reachable("https://no.such.host.invalid", "s3://b")


def test_a_server_that_starts_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is not there at the first try may be at the next."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = unused.getsockname()
    started: list[socket.socket] = []
    monkeypatch.setattr(time, "sleep", lambda seconds: started.append(socket.create_server(address)))

    check_reachable(f"http://127.0.0.1:{address[1]}", "s3://b")
    started[0].close()


def test_behind_a_proxy_nobody_knows(closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where requests go through a proxy, the host itself need not be reachable."""
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    check_reachable(closed, "s3://b")
