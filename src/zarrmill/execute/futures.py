"""Waiting for pieces of work: in order, a few at a time, and none left running after a failure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")

IN_FLIGHT = 2
"""Pieces of work per thread that are submitted and not yet collected: enough that no thread waits for the caller."""


def collect(pool: ThreadPoolExecutor, calls: Iterable[Callable[[], T]], *, in_flight: int | None = None) -> Iterator[T]:
    """Run calls in a pool and yield their results in order, with a bounded number of them under way.

    When one fails, or the caller stops, the others are cancelled and the running ones waited for: what they write
    to may then be reused.
    """
    limit = in_flight or IN_FLIGHT * pool._max_workers
    waiting: deque[Future[T]] = deque()
    try:
        for call in calls:
            if len(waiting) >= limit:
                yield waiting.popleft().result()
            waiting.append(pool.submit(call))
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        wait(waiting)
