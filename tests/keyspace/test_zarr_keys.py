"""keyspace/zarr_keys.py: what is special about stores of zarr's."""

from __future__ import annotations

from pathlib import Path

import pytest
from zarr.core.buffer import Buffer
from zarr.storage import LocalStore, MemoryStore, WrapperStore, ZipStore

from zarrmill.errors import InvalidInputError
from zarrmill.keyspace.zarr_keys import ZarrKeys


@pytest.mark.parametrize("kind", ["memory", "zip", "wrapped folder"])
def test_stores_differ_in_nothing(tmp_path: Path, kind: str) -> None:
    """Values, parts, ends and folders are the same in every store."""
    store = {
        "memory": MemoryStore,
        "zip": lambda: ZipStore(tmp_path / "a.zip", mode="w"),
        "wrapped folder": lambda: WrapperStore(LocalStore(tmp_path)),
    }[kind]()
    keys = ZarrKeys(store, prefix="deep")
    for key in ("zarr.json", "a/zarr.json", "a/c/0"):
        keys.put(key, b"0123456789")

    assert keys.get("a/c/0") == b"0123456789"
    assert keys.get_range("a/c/0", 8, 5) == b"89"
    assert keys.get_suffix("a/c/0", 20) == b"0123456789"
    assert [sorted(some) for some in keys.list_dir()] == [["a"], ["zarr.json"]]
    assert sorted(found.key for found in keys.list("a")) == ["a/c/0", "a/zarr.json"]
    store.close()


def test_what_can_only_be_read_is_not_written() -> None:
    """A store for reading refuses writes of every kind in one line."""
    keys = ZarrKeys(MemoryStore(read_only=True))

    assert keys.read_only
    for call in (lambda: keys.put("a", b""), lambda: keys.create("a", b""), lambda: keys.delete(["a"])):
        with pytest.raises(InvalidInputError, match=r"memory://.* can only be read\. Give another target\."):
            call()


def test_stores_tell_whether_they_list() -> None:
    """A store that cannot list its keys says so."""

    class Unlisted(WrapperStore[MemoryStore]):
        supports_listing = False

    assert ZarrKeys(MemoryStore()).can_list
    assert not ZarrKeys(Unlisted(MemoryStore())).can_list


class Given(MemoryStore):
    """Keeps the buffer that it is given; a `MemoryStore` of newer zarr keeps a copy of it."""

    async def set(self, key: str, value: Buffer, byte_range: tuple[int, int] | None = None) -> None:
        self.value = value


def test_values_are_not_copied_once_more() -> None:
    """A store that asks for bytes gets those that were put, and of a part that part."""
    store, data = Given(), b"0123456789"
    ZarrKeys(store).put("a", data)
    value = store.value

    assert value.to_bytes() is data
    assert value[2:5].to_bytes() == b"234"
    assert value[:].to_bytes() == data


def test_memory_that_is_used_again_is_copied() -> None:
    """A value that was put stays what it was."""
    keys, data = ZarrKeys(MemoryStore()), bytearray(b"before")
    keys.put("a", memoryview(data))
    data[:] = b"after!"

    assert keys.get("a") == b"before"
