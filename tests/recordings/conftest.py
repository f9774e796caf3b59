"""What tests of sessions share: a disk that nobody waits for, and processes that start within milliseconds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.recordings.forked_pool import fork_processes


@pytest.fixture(autouse=True)
def disk_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for the disk, which takes seconds on a busy machine."""
    for module in ("journal", "publish"):
        monkeypatch.setattr(f"zarrmill.{module}.sync_file_system", lambda path: None)
    monkeypatch.setattr(os, "fsync", lambda fd: None)


@pytest.fixture(scope="session")
def client() -> Iterator[Any]:
    """The Client of two worker processes that all tests share; it starts with the first."""
    pytest.importorskip("distributed")
    from tests.execute.conftest import local_cluster

    with local_cluster() as made:
        yield made


@pytest.fixture
def forked_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of ``executor="processes"`` are forked, where it does not matter how they start."""
    fork_processes(monkeypatch)
