"""Fixtures for tests on object storage and on a cluster: one of each per process of tests, a bucket per test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest

from tests.servers.client import Proxy
from tests.servers.cluster import local_cluster
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


@pytest.fixture(scope="session")
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with one certificate; a client that finds none at all refuses to be made."""
    first, end, _ = Path(certifi.where()).read_text(encoding="utf-8").partition("-----END CERTIFICATE-----\n")
    path = tmp_path_factory.mktemp("certificates") / "one.pem"
    path.write_text(first + end, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def client() -> Iterator[Any]:
    """The Client of two worker processes that all tests share; it starts with the first."""
    pytest.importorskip("distributed")
    with local_cluster() as made:
        yield made


@pytest.fixture
def s3_bucket(s3_server: S3Server, one_authority: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """URL of an empty bucket of this test alone: `s3://name`."""
    if s3_server.is_moto:
        # It speaks plain HTTP, and nearly all of what a client of obstore's costs is reading a hundred certificates.
        monkeypatch.setenv("SSL_CERT_FILE", str(one_authority))
        monkeypatch.setenv("SSL_CERT_DIR", str(one_authority.parent))
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
