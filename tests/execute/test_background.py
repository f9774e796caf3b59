"""execute/background.py: requests ahead of whoever uses what they bring."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from zarrmill.execute.background import ahead


def test_items_come_in_order_with_what_was_fetched() -> None:
    """Whatever is fetched first, the order is that of the items."""
    found = [(n, future.result()) for n, future in ahead(iter(range(50)), lambda n: n * n, depth=8)]
    assert found == [(n, n * n) for n in range(50)]


@pytest.mark.parametrize("depth", [0, 1, 5, 100])
def test_no_more_than_depth_are_under_way(depth: int) -> None:
    """Items are taken as room comes: at the first result, ``depth`` more have been asked for."""
    taken: list[int] = []

    def items() -> Iterator[int]:
        for n in range(20):
            taken.append(n)
            yield n

    found = ahead(items(), str, depth=depth)
    next(found)
    assert len(taken) == min(depth + 1, 20)
    assert [n for n, _ in found] == list(range(1, 20))


def test_waiting_overlaps() -> None:
    """As many as are asked for ahead wait at the same time."""
    together = threading.Barrier(4, timeout=10)
    found = [future.result() for _, future in ahead(iter(range(4)), lambda n: together.wait() >= 0, depth=3)]
    assert found == [True] * 4


def test_failure_comes_with_its_item() -> None:
    """An error shows where its item is used, not before."""

    def fetch(n: int) -> int:
        if n == 3:
            raise ValueError("three")
        return n

    found = ahead(iter(range(6)), fetch, depth=5)
    assert [next(found)[1].result() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(found)[1].result()
    assert [future.result() for _, future in found] == [4, 5]


def test_stopping_waits_for_what_is_under_way() -> None:
    """When the caller stops nothing of its requests goes on behind its back."""
    started, ended = [], []
    go = threading.Event()

    def fetch(n: int) -> int:
        started.append(n)
        if n:
            go.wait(10)
        ended.append(n)
        return n

    found = ahead(iter(range(30)), fetch, depth=10)
    next(found)
    threading.Timer(0.05, go.set).start()
    found.close()  # type: ignore[attr-defined]
    assert sorted(started) == sorted(ended)


def test_broken_items_are_told() -> None:
    """An error in the items themselves reaches the caller."""

    def items() -> Iterator[int]:
        yield 1
        raise KeyError("broken")

    with pytest.raises(KeyError, match="broken"):
        list(ahead(items(), str, depth=4))
