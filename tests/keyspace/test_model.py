"""keyspace/model.py: figures of requests, and names."""

from __future__ import annotations

import numpy as np

from zarrmill.keyspace import RequestCounts, Requests
from zarrmill.keyspace.model import flat, join


def test_requests_add_and_subtract() -> None:
    """What a part of the work needed is the difference of two snapshots."""
    counts = RequestCounts()
    counts.add("gets", read=10)
    before = counts.snapshot()
    counts.add("gets", 2, read=5)
    counts.add("puts", written=7)

    assert counts.snapshot() - before == Requests(gets=2, puts=1, bytes_read=5, bytes_written=7)
    assert before + Requests(gets=2, puts=1, bytes_read=5, bytes_written=7) == counts.snapshot()


def test_buffers_are_flattened() -> None:
    """A view of bytes is made of a buffer of any shape, an empty one too, without a copy."""
    array = np.arange(6, dtype="<u2").reshape(2, 3)

    assert bytes(flat(memoryview(array))) == array.tobytes()
    assert len(flat(memoryview(np.zeros((0, 3))))) == 0
    array[0, 1] = 0x4241
    assert bytes(flat(memoryview(array)))[2:4] == b"AB"


def test_folders_are_joined() -> None:
    """The root adds no slash, in front or behind."""
    assert [join("", "a"), join("a", ""), join("", ""), join("a/b", "c")] == ["a", "a", "", "a/b/c"]
