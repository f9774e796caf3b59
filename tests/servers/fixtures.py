"""Fixtures for tests on object storage. A server and a proxy per process of tests, a bucket per test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers.client import Proxy
from tests.servers.nursery import stop_nursery
from tests.servers.s3 import S3Server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server, started by the first test that needs it."""
    with S3Server() as server:
        yield server


@pytest.fixture(scope="session")
def proxy_process(s3_server: S3Server) -> Iterator[Proxy]:
    """The proxy's process; tests take `proxy`, which leaves nothing behind."""
    with Proxy(s3_server) as proxy:
        yield proxy


@pytest.fixture
def s3_bucket(s3_server: S3Server) -> Iterator[str]:
    """URL of an empty bucket of this test alone: `s3://name`."""
    name = s3_server.create_bucket()
    yield f"s3://{name}"
    s3_server.delete_bucket(name)


@pytest.fixture
def storage_options(s3_server: S3Server) -> dict[str, Any]:
    """Options of obstore for the server itself; `proxy.storage_options` are those through the proxy."""
    return s3_server.storage_options


@pytest.fixture
def proxy(proxy_process: Proxy) -> Iterator[Proxy]:
    """The proxy without rules, counts or latency."""
    proxy_process.reset()
    yield proxy_process
    proxy_process.reset()


@pytest.fixture(scope="session", autouse=True)
def _nursery_ends() -> Iterator[None]:
    """The nursery, which the first child starts, ends with the tests."""
    yield
    stop_nursery()
