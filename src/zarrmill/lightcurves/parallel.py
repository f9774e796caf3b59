"""Where calls run: requests of an object store at once in threads, those of a local disk one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from zarrmill.execute.executors import cores
from zarrmill.execute.futures import collect
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.local import LocalKeys

T = TypeVar("T")

REQUESTS_AT_ONCE = 16
"""Requests of an object store under way at once."""
CODED_ALONE = 2**18
"""Decoded bytes up to which one thread encodes or decodes faster than several would be told what to do."""


def request_pool(keys: KeySpace) -> ThreadPoolExecutor | None:
    """Return threads that make requests, None for a local disk, where a call takes less time than handing it over."""
    return None if isinstance(keys, LocalKeys) else WORKSHOP.pool(REQUESTS_AT_ONCE)


def codec_pool(nbytes: int) -> ThreadPoolExecutor | None:
    """Return threads that encode or decode so many bytes, None where one does it faster alone."""
    return WORKSHOP.pool(cores()) if nbytes > CODED_ALONE and cores() > 1 else None


def gather(pool: ThreadPoolExecutor | None, calls: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Yield the results of calls in order."""
    if pool is None:
        return (call() for call in calls)
    return collect(pool, calls)
