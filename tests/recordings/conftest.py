"""What tests of sessions share: a disk that nobody waits for, and processes that start within milliseconds."""

from __future__ import annotations

import os

import pytest

from tests.recordings.forked_pool import fork_processes


@pytest.fixture(autouse=True)
def disk_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for the disk, which takes seconds on a busy machine."""
    for module in ("journal", "publish"):
        monkeypatch.setattr(f"zarrmill.{module}.sync_file_system", lambda path: None)
    monkeypatch.setattr(os, "fsync", lambda fd: None)


@pytest.fixture
def forked_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of ``executor="processes"`` are forked, where it does not matter how they start."""
    fork_processes(monkeypatch)
