"""Process groups of runs that are killed."""

from __future__ import annotations

import os
import signal
import time

import pytest


def wait_for_group(group: int) -> None:
    """Wait until no process of a group is left; fail when one stays."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    os.killpg(group, signal.SIGKILL)
    pytest.fail("a worker outlived the run that was killed")
