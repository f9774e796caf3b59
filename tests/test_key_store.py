"""key_store.py: a key space as a zarr store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from zarrmill.errors import StoreUnavailableError
from zarrmill.key_store import KeyStore
from zarrmill.keyspace.local import LocalKeys


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(LocalKeys(tmp_path))


@pytest.mark.parametrize("shards", [None, (4, 6)], ids=["chunks", "shards"])
def test_zarr_reads_what_it_wrote(store: KeyStore, tmp_path: Path, shards: tuple[int, ...] | None) -> None:
    """An array written through the keys is one on the disk, and the other way round."""
    values = np.arange(48.0).reshape(8, 6)
    zarr.create_array(store, shape=(8, 6), chunks=(2, 3), shards=shards, dtype="f8")[:] = values
    np.testing.assert_array_equal(zarr.open_array(tmp_path, mode="r")[:], values)
    np.testing.assert_array_equal(zarr.open_array(store, mode="r")[3:5, 1:], values[3:5, 1:])


def test_members_are_found(store: KeyStore) -> None:
    """Groups list their members."""
    root = zarr.create_group(store)
    root.create_group("a").create_array("b", shape=1, dtype="i4")
    found = zarr.open_group(store, mode="r")
    assert sorted(name for name, _ in found.members(max_depth=None)) == ["a", "a/b"]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (None, b"0123456789"),
        (RangeByteRequest(2, 5), b"234"),
        (RangeByteRequest(8, 50), b"89"),
        (OffsetByteRequest(7), b"789"),
        (SuffixByteRequest(3), b"789"),
    ],
    ids=["all", "range", "beyond", "offset", "suffix"],
)
def test_parts_of_a_value(store: KeyStore, tmp_path: Path, part: object, expected: bytes) -> None:
    """Each way of zarr's to say which bytes are wanted."""
    (tmp_path / "key").write_bytes(b"0123456789")
    found = sync(store.get("key", default_buffer_prototype(), part))  # type: ignore[arg-type]
    assert found is not None
    assert found.to_bytes() == expected
    assert sync(store.get("other", default_buffer_prototype(), part)) is None  # type: ignore[arg-type]


def test_keys_are_listed_and_removed(store: KeyStore, tmp_path: Path) -> None:
    """A prefix need not be a folder; a removed key is gone."""
    for name in ("a/b1", "a/b2", "a/c"):
        LocalKeys(tmp_path).put(name, b"x")

    async def listed() -> list[str]:
        return sorted([key async for key in store.list_prefix("a/b")])

    assert sync(listed()) == ["a/b1", "a/b2"]
    assert sync(store.exists("a/c"))
    sync(store.delete("a/c"))
    assert not sync(store.exists("a/c"))


def test_read_only_store_refuses_writes(store: KeyStore) -> None:
    """In the mode for reading nothing is written."""
    with pytest.raises(ValueError, match="read-only"):
        zarr.create_array(store.with_read_only(True), shape=1, dtype="i4")


def test_errors_of_the_keys_pass_through(tmp_path: Path) -> None:
    """What a key space says of a failure reaches whoever asked zarr."""

    class Broken(LocalKeys):
        def get(self, key: str) -> None:
            raise StoreUnavailableError(f"reading {key} failed")

    zarr.create_array(tmp_path, shape=4, chunks=2, dtype="i4")[:] = 1
    array = zarr.open_array(tmp_path, mode="r")
    through = zarr.Array(
        zarr.AsyncArray(metadata=array.metadata, store_path=zarr.storage.StorePath(KeyStore(Broken(tmp_path))))
    )
    with pytest.raises(StoreUnavailableError, match="reading c/0 failed"):
        through[:]


def test_equal_keys_make_equal_stores(tmp_path: Path) -> None:
    """Stores over the same keys are the same store."""
    assert KeyStore(LocalKeys(tmp_path)) == KeyStore(LocalKeys(tmp_path))
    assert KeyStore(LocalKeys(tmp_path)) != KeyStore(LocalKeys(tmp_path / "a"))
    assert hash(KeyStore(LocalKeys(tmp_path))) == hash(KeyStore(LocalKeys(tmp_path)))
