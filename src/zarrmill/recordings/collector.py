"""Python's collector of cycles, which has nothing to find while many small objects are made that all are kept."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_pausing: set[int] = set()
"""Threads that keep it still just now."""


@contextmanager
def paused_collector() -> Iterator[None]:
    """Keep the collector still meanwhile: for work that makes objects in great number, and no cycles.

    It runs whenever some hundreds of objects more are there, and at times goes through all that the process has, which
    takes as long as making the rows of a session. Threads that do this at once never leave it off, and neither does a
    process that is forked meanwhile.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    _pausing.add(threading.get_ident())
    try:
        yield
    finally:
        _pausing.discard(threading.get_ident())
        gc.enable()


def _enable_in_child() -> None:
    """Start the collector in a forked process, where no thread is left that would."""
    if _pausing:
        _pausing.clear()
        gc.enable()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_enable_in_child)
