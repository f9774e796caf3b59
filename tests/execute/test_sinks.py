"""execute/sinks.py: the bytes of a key go to a file as they come, or to a store in one piece."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from zarrmill.execute import sinks
from zarrmill.execute.sinks import FileSinks, StoreSinks
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.local import LocalKeys

BOUND = 1000


class Keys(LocalKeys):
    """Keys on the disk whose writes can be held, counted and made to fail."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.free = threading.Event()
        self.free.set()
        self.broken: set[str] = set()
        self.under_way = self.most = 0
        self.lock = threading.Lock()

    def put(self, key: str, data: Any) -> None:
        with self.lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        try:
            assert self.free.wait(10)
            if key in self.broken:
                raise ConnectionError(f"{key} failed")
            super().put(key, bytes(data))
        finally:
            with self.lock:
                self.under_way -= 1


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def write(made: StoreSinks | FileSinks, key: str, *parts: bytes) -> int:
    sink = made.open(key)
    count = sink.write(list(parts))
    sink.close()
    return count


def write_many(made: StoreSinks, count: int) -> None:
    for number in range(count):
        write(made, f"c/{number}", b"x")


@pytest.mark.parametrize("kind", ["files", "store"])
def test_parts_become_one_value(kind: str, keys: Keys, tmp_path: Path) -> None:
    """A value is its parts, one after the other, under its key."""
    made = FileSinks(tmp_path) if kind == "files" else StoreSinks(keys, bound=BOUND)
    sink = made.open("c/0/1")
    assert (sink.write([b"ab", memoryview(b"cde")]), sink.write([b"f"])) == (5, 1)
    sink.close()
    assert write(made, "c/0/2") == 0
    made.flush()
    assert (tmp_path / "c/0/1").read_bytes() == b"abcdef"
    assert (tmp_path / "c/0/2").read_bytes() == b""


@pytest.mark.parametrize("kind", ["files", "store"])
def test_value_takes_the_place_of_an_old_one(kind: str, keys: Keys, tmp_path: Path) -> None:
    """What another attempt has left, longer or not, is gone."""
    made = FileSinks(tmp_path) if kind == "files" else StoreSinks(keys, bound=BOUND)
    for data in (b"long and old", b"new"):
        write(made, "c/0", data)
        made.flush()
    assert (tmp_path / "c/0").read_bytes() == b"new"


def test_removed_file_is_gone(tmp_path: Path) -> None:
    """A file of another attempt is removed, and one that is missing is no error."""
    made = FileSinks(tmp_path)
    write(made, "c/0", b"old")
    made.remove("c/0")
    made.remove("c/0")
    assert not (tmp_path / "c/0").exists()


def test_files_are_closed(tmp_path: Path) -> None:
    """Neither a complete nor an abandoned file keeps its descriptor."""
    made, before = FileSinks(tmp_path), len(os.listdir("/proc/self/fd"))
    write(made, "a", b"1")
    made.open("b").abandon()
    assert len(os.listdir("/proc/self/fd")) == before


def test_value_is_whole_or_not_there(keys: Keys, tmp_path: Path) -> None:
    """Nothing is sent before a value is complete, and nothing of an abandoned one."""
    made = StoreSinks(keys, bound=BOUND)
    sink = made.open("a")
    sink.write([b"half"])
    sink.abandon()
    made.flush()
    assert list(keys.list()) == []


def test_requests_are_bounded(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more values are on their way than memory was planned for, however fast they are made."""
    monkeypatch.setattr(sinks, "puts_at_once", lambda bound: 3)
    made = StoreSinks(keys, bound=BOUND)
    for number in range(30):
        write(made, f"c/{number}", bytes([number]))
    made.flush()
    assert 1 <= keys.most <= 3
    assert len(list(keys.list())) == 30


def test_flush_waits(keys: Keys) -> None:
    """What was closed is stored when flush returns."""
    made = StoreSinks(keys, bound=BOUND)
    keys.free.clear()
    write(made, "a", b"1")
    threading.Timer(0.05, keys.free.set).start()
    made.flush()
    assert bytes(keys.get("a") or b"") == b"1"


def test_failure_shows_at_the_end(keys: Keys) -> None:
    """A request that failed is told by flush."""
    made = StoreSinks(keys, bound=BOUND)
    keys.broken = {"a"}
    write(made, "a", b"1")
    with pytest.raises(ConnectionError, match="a failed"):
        made.flush()


def test_failure_shows_at_the_next_key(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer hears of a failed request while it makes other keys, and can give up and begin again."""
    monkeypatch.setattr(sinks, "puts_at_once", lambda bound: 2)
    made = StoreSinks(keys, bound=BOUND)
    keys.broken = {"c/0"}
    with pytest.raises(ConnectionError, match="c/0 failed"):
        write_many(made, 20)
    made.abandon()
    keys.broken = set()
    write(made, "c/0", b"again")
    made.flush()
    assert bytes(keys.get("c/0") or b"") == b"again"


def test_abandon_forgets_failures(keys: Keys) -> None:
    """After an attempt that failed the next one starts without its errors, and nothing of it is under way."""
    made = StoreSinks(keys, bound=BOUND)
    keys.broken = {"a"}
    write(made, "a", b"1")
    made.abandon()
    assert keys.under_way == 0
    made.flush()


@pytest.mark.parametrize("kind", ["files", "store"])
def test_threads_write_at_once(kind: str, keys: KeySpace, tmp_path: Path) -> None:
    """Any number of threads opens keys of the same array."""
    made = FileSinks(tmp_path) if kind == "files" else StoreSinks(keys, bound=BOUND)

    def some(first: int) -> None:
        for number in range(first, first + 20):
            write(made, f"c/{number // 7}/{number}", str(number).encode())

    threads = [threading.Thread(target=some, args=(first,)) for first in range(0, 80, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.flush()
    found = {path.name: path.read_text() for path in (tmp_path / "c").rglob("*") if path.is_file()}
    assert found == {str(number): str(number) for number in range(80)}
