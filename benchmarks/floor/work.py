"""Threads that share a list of work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")

CORES = len(os.sched_getaffinity(0))


class Team:
    """One thread per core; a worker draws items until none is left, so that no call is paid per item."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(CORES)

    def share(self, items: Sequence[Item], worker: Callable[[Iterator[Item]], None]) -> None:
        """Run `worker` once per thread on one iterator over `items`; the first error is raised."""
        shared = iter(items)  # `next` of a list iterator is atomic
        for future in [self._pool.submit(worker, shared) for _ in range(CORES)]:
            future.result()

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()
