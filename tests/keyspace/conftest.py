"""Key spaces of every kind, empty, for tests that hold for all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from zarr.storage import MemoryStore

from tests.servers.client import Proxy
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.clients import open_link
from zarrmill.keyspace.local import LocalKeys
from zarrmill.keyspace.object_store import ObjectKeys
from zarrmill.keyspace.urls import parse_url
from zarrmill.keyspace.zarr_keys import ZarrKeys

QUICK = {"max_retries": 2, "init_backoff": "5ms", "max_backoff": "10ms", "timeout": "20s", "read_timeout": "10s"}
"""Options of clients whose patience is short."""


def open_url(url: str, options: dict[str, Any]) -> ObjectKeys:
    """Return the keys at a URL."""
    parsed = parse_url(url)
    return ObjectKeys(open_link(parsed, options), prefix=parsed.path)


def _local(request: pytest.FixtureRequest) -> KeySpace:
    path: Path = request.getfixturevalue("tmp_path")
    return LocalKeys(path / "not made yet")


def _memory(request: pytest.FixtureRequest) -> KeySpace:
    return open_url(f"memory://{request.node.nodeid.replace('/', '-')}/a b", {})


def _zarr(request: pytest.FixtureRequest) -> KeySpace:
    return ZarrKeys(MemoryStore(), prefix="deep/down")


def _s3(request: pytest.FixtureRequest) -> KeySpace:
    url, options = request.getfixturevalue("s3_bucket"), request.getfixturevalue("storage_options")
    return open_url(f"{url}/a b", options | QUICK)


KINDS: dict[str, Callable[[pytest.FixtureRequest], KeySpace]] = {
    "local": _local,
    "memory": _memory,
    "zarr": _zarr,
    "s3": _s3,
}


@pytest.fixture(params=KINDS)
def keys(request: pytest.FixtureRequest) -> KeySpace:
    """An empty key space."""
    return KINDS[request.param](request)


@pytest.fixture
def direct(s3_bucket: str, storage_options: dict[str, Any]) -> ObjectKeys:
    """The bucket of a test, without the proxy."""
    return open_url(f"{s3_bucket}/a", storage_options | QUICK)


@pytest.fixture
def proxied(s3_bucket: str, proxy: Proxy) -> ObjectKeys:
    """The bucket of a test through the proxy."""
    return open_url(f"{s3_bucket}/a", proxy.storage_options | QUICK)
