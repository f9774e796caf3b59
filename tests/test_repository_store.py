"""repository_store.py: the keys of a session behave as those of any zarr store."""

from __future__ import annotations

import icechunk
import numpy as np
import pytest
import zarr
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from zarrmill import repository_store
from zarrmill.repository_store import RepositoryStore

PROTOTYPE = default_buffer_prototype()
VALUE = np.random.default_rng(0).bytes(10_000)


@pytest.fixture
def store():
    """A session with the group g, the array g/a, and one chunk of it."""
    session = icechunk.Repository.create(icechunk.in_memory_storage()).writable_session("main")
    zarr.create_array(session.store, name="g/a", shape=(30_000,), chunks=(10_000,), dtype="u1", compressors=None)
    return RepositoryStore(session.store)


def put(store, value, key="g/a/c/0"):
    sync(store.set(key, PROTOTYPE.buffer.from_bytes(value)))


def get(store, key="g/a/c/0", part=None):
    found = sync(store.get(key, PROTOTYPE, part))
    return None if found is None else found.to_bytes()


@pytest.mark.parametrize("part", [100, 3333, 5000, 9999, 10_000, 10_001, 2**20])
@pytest.mark.parametrize("length", [1, 100, 512, 513, 10_000], ids=lambda length: f"value of {length}")
def test_values_are_read_part_by_part(store, monkeypatch, part, length):
    """However its length and that of the parts fit, in the manifest or on its own, a value is the one written."""
    put(store, VALUE[:length])
    monkeypatch.setattr(repository_store, "PART", part)

    assert get(store) == VALUE[:length]


def test_a_small_value_takes_one_request(store, monkeypatch):
    """A larger one as many as it has parts."""
    asked = []

    async def count(inner, key, prototype, byte_range=None):
        asked.append(byte_range)
        return await read(inner, key, prototype, byte_range)

    put(store, VALUE)
    read = icechunk.IcechunkStore.get
    monkeypatch.setattr(icechunk.IcechunkStore, "get", count)
    assert get(store) == VALUE
    assert asked == [None]
    asked.clear()
    monkeypatch.setattr(repository_store, "PART", 4000)
    assert get(store) == VALUE

    parts = [RangeByteRequest(0, 4000), RangeByteRequest(4000, 8000), RangeByteRequest(8000, 10_000)]
    assert asked == parts


def test_parts_that_are_asked_for_are_those(store, monkeypatch):
    """Ranges and ends are read as they are, those too that are read in pieces, and as far as the value goes."""
    put(store, VALUE)
    for part in (repository_store.PART, 300):
        monkeypatch.setattr(repository_store, "PART", part)
        assert get(store, part=RangeByteRequest(10, 20)) == VALUE[10:20]
        assert get(store, part=RangeByteRequest(10, 2000)) == VALUE[10:2000]
        assert get(store, part=RangeByteRequest(9000, 20_000)) == VALUE[9000:]
        assert get(store, part=OffsetByteRequest(9900)) == VALUE[9900:]
        assert get(store, part=SuffixByteRequest(7)) == VALUE[-7:]
        assert get(store, part=SuffixByteRequest(20_000)) == VALUE
        assert get(store, part=RangeByteRequest(10_000, 10_001)) == get(store, part=RangeByteRequest(5, 5)) == b""
        assert get(store, "g/a/c/1", RangeByteRequest(10, 2000)) is None


@pytest.mark.parametrize("key", ["g/a/c/1", "g/c/0", "no/c/0", "no/zarr.json", ".zarray", "g/a/.zattrs", "c", "zarr"])
def test_missing_keys_are_missing(store, key):
    """A chunk never written, of a group, of no node, or a key that icechunk has not: there is none."""
    assert get(store, key) is None
    assert not sync(store.exists(key))
    with pytest.raises(FileNotFoundError):
        sync(store.getsize(key))


def test_other_errors_are_told(store, monkeypatch):
    """A fault is not taken for a missing key."""

    put(store, VALUE)

    async def fail(*arguments):
        raise icechunk.IcechunkError("the network is down")

    monkeypatch.setattr(icechunk.IcechunkStore, "get", fail)
    with pytest.raises(icechunk.IcechunkError, match="network"):
        get(store)
