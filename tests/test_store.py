"""store.py: one way in for paths, URLs and zarr's own objects."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
from obstore.store import LocalStore as LocalClient
from obstore.store import MemoryStore as MemoryClient
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import LocalStore, MemoryStore, ObjectStore, StorePath, WrapperStore, ZipStore

import zarrmill
from zarrmill.errors import InvalidInputError, NotFoundError, SourceFormatError, StoreUnavailableError
from zarrmill.keyspace import Requests, reach
from zarrmill.keyspace.object_store import ObjectKeys
from zarrmill.store import Location, OpenedStore, local_path, open_keys, open_new, open_store


@pytest.mark.parametrize("call", [open_store, open_new, zarrmill.info, zarrmill.discard, zarrmill.publish_draft])
def test_an_endpoint_where_nobody_listens_is_told(call: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked there: a mistyped endpoint is told without the patience of all retries."""
    monkeypatch.setattr(reach, "_PAUSES", ())
    for name in reach._PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        options = {"endpoint": endpoint, "access_key_id": "a", "secret_access_key": "b"}
        with pytest.raises(StoreUnavailableError, match=f"cannot be reached: {endpoint}: Connection refused"):
            call("s3://bucket/a.zarr", storage_options=options)


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
    assert sorted(found.key for found in opened.keys.list()) == sorted(below)


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


@pytest.mark.parametrize("location", ["ftp://host/a.zarr", "zip::file:///a.zip", "hdfs://a"])
def test_other_urls_are_refused(location: str) -> None:
    """URLs of other kinds are refused with what works, rather than taken for paths."""
    with pytest.raises(InvalidInputError, match=r"unknown kind of URL\. Known are file://, s3://, gs://, az://"):
        open_store(location)


def test_a_local_path_is_asked_for() -> None:
    """Where only a folder will do, a URL of another kind is refused."""
    with pytest.raises(InvalidInputError, match=r"s3://bucket/a is not on the local disk\."):
        local_path("s3://bucket/a")


@pytest.fixture
def memory_url(request: pytest.FixtureRequest) -> str:
    """A group with an array in a store of its own in memory."""
    url = f"memory://{request.node.name}/deep/down"
    store = open_keys(url)
    store.put("note", b"not empty")
    zarr.create_group(open_store(url, read_only=False).store).create_array("x/y", shape=(2,), dtype="i4")[:] = [1, 2]
    return url


def test_urls_are_opened_below_their_path(memory_url: str) -> None:
    """A URL's path is the root, for zarr and for plain calls alike, and there is no directory."""
    opened = open_store(f"{memory_url}/x/y/")

    assert (opened.location, opened.keys.location, opened.local) == (f"{memory_url}/x/y", f"{memory_url}/x/y", None)
    assert opened.store.read_only
    assert read(opened, "zarr.json") == opened.keys.get("zarr.json")
    np.testing.assert_array_equal(zarr.open_array(opened.store, mode="r")[:], [1, 2])


def test_memory_is_the_same_wherever_it_is_opened(memory_url: str) -> None:
    """A name stands for one store in a process; another name for another."""
    open_keys(memory_url).put("later", b"1")

    assert open_store(memory_url).keys.get("later") == b"1"
    with pytest.raises(NotFoundError, match="there is nothing at memory://another/deep"):
        open_store("memory://another/deep")


def test_opened_urls_pickle(memory_url: str) -> None:
    """A worker opens a URL again, in the mode in which it was opened, and counts its own requests."""
    for read_only in (True, False):
        opened = open_store(memory_url, read_only=read_only)
        back = pickle.loads(pickle.dumps(opened))

        assert (back, back.keys) == (opened, opened.keys)
        assert back.store.read_only == read_only
        assert back.keys.counts.snapshot() == Requests()


def test_opened_zarr_stores_pickle(tmp_path: Path) -> None:
    """A store of zarr's takes its keys along."""
    with ZipStore(tmp_path / "a.zip", mode="w") as store:
        zarr.create_array(store, shape=(2,), dtype="i4")
    with ZipStore(tmp_path / "a.zip", mode="r") as store:
        back = pickle.loads(pickle.dumps(open_store(store)))

    assert back.keys.get("zarr.json") == read(back, "zarr.json")


def test_clients_of_obstore_are_taken_as_they_are(directory: Path) -> None:
    """A store over a client of obstore's is used through that client; over a folder, it is the folder."""
    memory = ObjectStore(MemoryClient())
    zarr.create_group(memory).create_array("x", shape=(2,), dtype="i4")
    opened = open_store(StorePath(memory, "x"))

    assert isinstance(opened.keys, ObjectKeys)
    assert opened.keys.get("zarr.json") == read(opened, "zarr.json")
    assert open_store(StorePath(ObjectStore(LocalClient(directory)), "x")).local == directory / "x"


def test_keys_of_a_target_need_not_be_there(tmp_path: Path) -> None:
    """A target is addressed without a question whether it is there, and nothing is made."""
    keys = [open_keys(tmp_path / "a"), open_keys((tmp_path / "a").as_uri()), open_keys("memory://nothing-yet/a")]

    assert [k.location for k in keys] == [str(tmp_path / "a"), str(tmp_path / "a"), "memory://nothing-yet/a"]
    assert all(k.counts.snapshot() == Requests() for k in keys)
    assert list(tmp_path.iterdir()) == []


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


@pytest.mark.parametrize("url", ["https://host/a.zarr", "http://host/a.zarr"])
def test_web_servers_are_not_written_to(url: str) -> None:
    """A web server is refused as a target before anybody asks it anything."""
    with pytest.raises(InvalidInputError, match="can only be read"):
        open_store(url, read_only=False)
