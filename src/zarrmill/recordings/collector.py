"""Python's collector of cycles, which has nothing to find while many small objects are made that all are kept."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collector() -> Iterator[None]:
    """Keep the collector still meanwhile: for work that makes objects in great number, and no cycles.

    It runs whenever some hundreds of objects more are there, and at times goes through all that the process has, which
    takes as long as making the rows of a session. Threads that do this at once never leave it off.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
