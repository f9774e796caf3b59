"""store.py: one way in for paths, URLs and zarr's own objects."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import LocalStore, MemoryStore, StorePath, WrapperStore, ZipStore

from zarrmill.errors import InvalidInputError, NotFoundError, SourceFormatError
from zarrmill.store import Location, OpenedStore, PrefixStore, open_store


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A group with an array in it, in a directory whose name needs quoting in URLs."""
    root = tmp_path / "a b.zarr"
    zarr.create_group(root).create_array("x/y", shape=(2,), dtype="i4")[:] = [1, 2]
    return root


def read(opened: OpenedStore, key: str) -> bytes | None:
    value = sync(opened.store.get(key, default_buffer_prototype()))
    return None if value is None else value.to_bytes()


async def list_keys(opened: OpenedStore) -> list[str]:
    return [key async for key in opened.store.list()]


LOCAL = {
    "path": lambda root: root / "x" / "y",
    "text": lambda root: f"{root}/x/y",
    "text with a slash": lambda root: f"{root}/x/y/",
    "URL": lambda root: (root / "x" / "y").as_uri(),
    "store": lambda root: LocalStore(root / "x" / "y"),
    "store and path": lambda root: StorePath(LocalStore(root), "x/y"),
    "array": lambda root: zarr.open_array(root / "x" / "y"),
    "member": lambda root: zarr.open_group(root)["x/y"],
    "opened": lambda root: open_store(root / "x" / "y"),
}


@pytest.mark.parametrize("make", LOCAL.values(), ids=LOCAL)
def test_local_nodes_are_opened_in_place(directory: Path, make: object) -> None:
    """However a local node is named, the store's root is its directory, and people are shown the absolute path."""
    opened = open_store(make(directory))

    assert opened.local == directory / "x" / "y"
    assert opened.location == str(directory / "x" / "y")
    assert read(opened, "zarr.json") == (directory / "x" / "y" / "zarr.json").read_bytes()


def test_relative_paths_are_shown_absolute(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path relative to the working directory is shown absolute."""
    monkeypatch.chdir(directory.parent)

    assert open_store("a b.zarr").location == str(directory)


@pytest.mark.parametrize("read_only", [True, False], ids=["read", "write"])
@pytest.mark.parametrize("make", LOCAL.values(), ids=LOCAL)
def test_stores_open_for_reading_or_writing(directory: Path, make: object, read_only: bool) -> None:
    """A store is for reading only unless asked otherwise, whatever the mode of what it is made from."""
    assert open_store(make(directory), read_only=read_only).store.read_only == read_only


@pytest.mark.parametrize("path", ["", "x", "x/y"], ids=["root", "group", "array"])
def test_other_stores_are_opened_at_a_path(path: str) -> None:
    """Of a store that is no directory, the part below the path is the store, with all that a store can do."""
    memory = MemoryStore()
    zarr.create_group(memory).create_array("x/y", shape=(2,), chunks=(2,), dtype="i4")[:] = [1, 2]
    opened = open_store(StorePath(memory, path), read_only=False)
    below = [key.removeprefix(path).lstrip("/") for key in memory._store_dict if key.startswith(path)]

    assert opened.local is None
    assert opened.location == (f"{memory}/{path}" if path else str(memory))
    assert sorted(sync(list_keys(opened))) == sorted(below)
    node = zarr.open(opened.store, mode="r")
    assert node.shape == (2,) if path == "x/y" else "y" in str(list(node.members(max_depth=None)))


def test_a_part_of_a_store_is_written_and_emptied() -> None:
    """Keys that are written to or deleted from a part of a store are those below its path."""
    memory = MemoryStore()
    opened = open_store(StorePath(memory, "deep/down"), read_only=False)
    array = zarr.create_array(opened.store, shape=(4,), chunks=(2,), dtype="i4")
    array[:] = [1, 2, 3, 4]

    np.testing.assert_array_equal(zarr.open_array(memory, path="deep/down")[:], [1, 2, 3, 4])
    assert sync(opened.store.exists("c/1"))
    sync(opened.store.delete("c/1"))
    assert "deep/down/c/1" not in memory._store_dict
    sync(opened.store.clear())
    assert not memory._store_dict


def test_parts_of_stores_are_told_apart() -> None:
    """Two views of the same part are equal, of other parts not."""
    memory = MemoryStore()

    assert PrefixStore(memory, prefix="a") == PrefixStore(memory, prefix="a/")
    assert PrefixStore(memory, prefix="a") != PrefixStore(memory, prefix="b")


def test_what_wraps_a_directory_is_not_passed_by() -> None:
    """A wrapper round a local store may do something to each key, so it does not count as a directory."""

    class Counting(LocalStore):
        pass

    assert open_store(WrapperStore(LocalStore("/tmp"))).local is None
    assert open_store(Counting("/tmp")).local is None


def test_archives_pass_through(tmp_path: Path) -> None:
    """A zip store is used as it is, although it cannot be reopened in another mode."""
    with ZipStore(tmp_path / "a.zip", mode="w") as store:
        zarr.create_array(store, shape=(2,), dtype="i4")

    with ZipStore(tmp_path / "a.zip", mode="r") as store:
        opened = open_store(store)
        assert opened.store is store
        assert opened.local is None
        assert read(opened, "zarr.json")


def test_opened_local_stores_pickle(directory: Path) -> None:
    """Blocks take their stores along to other processes."""
    opened = open_store(directory)

    assert pickle.loads(pickle.dumps(opened)) == opened


def test_nothing_is_created(tmp_path: Path) -> None:
    """Where there is nothing, nothing is made, not even for writing."""
    for read_only in (True, False):
        with pytest.raises(NotFoundError, match=r"there is nothing at .*/missing"):
            open_store(tmp_path / "missing", read_only=read_only)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("location", ["s3://bucket/a.zarr", "https://host/a.zarr", "zip::file:///a.zip", "memory://a"])
def test_other_urls_come_later(location: str) -> None:
    """URLs of other kinds are refused with what works, rather than taken for paths."""
    with pytest.raises(InvalidInputError, match="come with a later version"):
        open_store(location)


def test_files_of_other_hosts_are_refused() -> None:
    """A file URL with a host in it was meant to have three slashes."""
    with pytest.raises(InvalidInputError, match="another host"):
        open_store("file://data/a.zarr")


def test_a_file_is_no_store(tmp_path: Path) -> None:
    """A file in place of a directory is named as such."""
    (tmp_path / "a.nc").write_bytes(b"CDF")

    with pytest.raises(SourceFormatError, match="is a file and not a Zarr directory"):
        open_store(tmp_path / "a.nc")


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_a_store_for_reading_is_not_written_to(tmp_path: Path, kind: str) -> None:
    """Somebody who opened a store for reading only does not mean it as a target."""
    store: Location = LocalStore(tmp_path, read_only=True) if kind == "local" else MemoryStore(read_only=True)

    with pytest.raises(InvalidInputError, match="open for reading only"):
        open_store(store, read_only=False)
