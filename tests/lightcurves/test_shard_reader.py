"""lightcurves/shard_reader.py: an index is read once, and never used for another version of its shard."""

from __future__ import annotations

import os
import resource
import threading
import uuid

import numpy as np
import pytest
from zarr.storage import MemoryStore

from zarrmill.codecs.shard import IndexFormat, empty_index
from zarrmill.errors import SourceFormatError
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.local import LocalKeys
from zarrmill.keyspace.zarr_keys import ZarrKeys
from zarrmill.lightcurves import shard_reader
from zarrmill.lightcurves.shard_reader import Held, open_shards
from zarrmill.store import open_keys

FORM = IndexFormat(4)


@pytest.fixture(params=["disk", "object store", "zarr store"])
def keys(request, tmp_path) -> KeySpace:
    """Somewhere with shards: with open files, with tags, and with neither."""
    if request.param == "disk":
        return LocalKeys(tmp_path)
    return ZarrKeys(MemoryStore()) if request.param == "zarr store" else open_keys(f"memory://{uuid.uuid4().hex}")


def put(keys: KeySpace, *chunks: bytes | None) -> None:
    """Put a shard."""
    index, end = empty_index(4), 0
    for number, chunk in enumerate(chunks):
        if chunk is not None:
            index[number] = (end, len(chunk))
            end += len(chunk)
    keys.put("s", b"".join(c for c in chunks if c) + FORM.encode(index))


def read(shards, *numbers: int, generation: int = 1) -> list[bytes | None]:
    found = shards.read_some("s", list(numbers), generation=generation)
    return [None if data is None else bytes(data) for data in found]


def test_chunks_by_number(keys) -> None:
    """Those that are not stored are None."""
    put(keys, b"aa", None, b"cccc", b"d")
    shards = open_shards(keys, FORM)

    assert read(shards, 3, 1, 0, 2) == [b"d", None, b"aa", b"cccc"]
    assert bytes(shards.read("s", 2, generation=1) or b"") == b"cccc"


def test_the_index_is_read_once(keys) -> None:
    """Further reads of a shard are one request each, or two where only the index tells versions apart."""
    put(keys, b"aa", None, b"cccc", b"d")
    shards = open_shards(keys, FORM)
    read(shards, 0)
    before = keys.counts.snapshot()
    read(shards, 2)
    used = keys.counts.snapshot() - before

    expected = {LocalKeys: 0, ZarrKeys: 2}.get(type(keys), 1)
    assert used.gets == expected
    assert used.heads == 0


def test_a_replaced_shard_is_noticed(keys) -> None:
    """Where chunks have moved, a kept index finds either the old values or the new ones, of the right object."""
    put(keys, b"a1", None, b"c1")
    shards = open_shards(keys, FORM)
    assert read(shards, 2) == [b"c1"]
    put(keys, b"a2", b"b2", b"c2")

    assert read(shards, 2)[0] in (b"c1", b"c2")
    assert read(shards, 1)[0] in (None, b"b2")
    assert read(shards, 0, 1, 2, generation=2) == [b"a2", b"b2", b"c2"]


def test_lost_and_damaged_shards_are_told(keys) -> None:
    """A missing shard is an error, because every shard is written; so is one that was cut short."""
    shards = open_shards(keys, FORM)
    with pytest.raises(SourceFormatError, match="is lost"):
        read(shards, 0)
    put(keys, b"aa", b"bb")
    whole = bytes(keys.get("s") or b"")
    for damaged in (whole[:-1], whole[:20], b""):
        keys.put("s", damaged)
        with pytest.raises(SourceFormatError):
            read(open_shards(keys, FORM), 0)


def test_a_closed_file_is_never_read(tmp_path, monkeypatch) -> None:
    """Threads that read many shards, more than are kept open, get their own values and leave no file open."""
    monkeypatch.setattr(shard_reader, "HELD_SHARDS", 3)
    keys = LocalKeys(tmp_path)
    for number in range(12):
        put(keys, bytes([number]) * 8)
        os.rename(tmp_path / "s", tmp_path / f"s{number}")
    shards, wrong = open_shards(keys, FORM), []

    def work(seed: int) -> None:
        numbers = np.random.default_rng(seed).integers(0, 12, 300).tolist()
        wrong.extend(n for n in numbers if shards.read(f"s{n}", 0, generation=1) != bytes([n]) * 8)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    before = len(os.listdir("/proc/self/fd"))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(os.listdir("/proc/self/fd")) <= before + 3


@pytest.mark.parametrize(
    ("soft", "arrays", "held"),
    [(1024, 3, 85), (1024, 6, 42), (1_048_576, 6, 256), (resource.RLIM_INFINITY, 3, 256), (20, 6, 1)],
    ids=["usual", "many arrays", "raised", "none", "tiny"],
)
def test_open_files_leave_room_for_others(monkeypatch, soft, arrays, held) -> None:
    """The shards of all arrays together take a quarter of the files that the process may open."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
    assert shard_reader.files_held(arrays) == held


def test_held_values_leave_in_order() -> None:
    """The oldest goes first."""
    held: Held[int] = Held(2)
    for number in range(3):
        held.put(str(number), number)

    assert [held.get(str(number)) for number in range(3)] == [None, 1, 2]
