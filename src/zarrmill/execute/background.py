"""Requests in the background: many wait for a network at once, while the threads that compute never do."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from typing import TypeVar

from zarrmill.execute.workshop import WORKSHOP

T = TypeVar("T")
U = TypeVar("U")


def ahead(items: Iterator[T], fetch: Callable[[T], U], *, depth: int) -> Iterator[tuple[T, Future[U]]]:
    """Yield items in order, each with what is being fetched for it, up to ``depth`` of them ahead.

    When the caller stops, those that have not begun are cancelled and the others waited for.

    >>> [(n, found.result()) for n, found in ahead(iter([1, 2, 3]), str, depth=2)]
    [(1, '1'), (2, '2'), (3, '3')]
    """
    pool = WORKSHOP.requests()
    waiting: deque[tuple[T, Future[U]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(fetch, item)))
            if len(waiting) > depth:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        left = [future for _, future in waiting]
        for future in left:
            future.cancel()
        wait(left)
