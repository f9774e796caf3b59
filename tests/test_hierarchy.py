"""hierarchy.py: every node's own metadata, from any store, of both formats."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zarr
from zarr.storage import LocalStore, MemoryStore, StorePath, WrapperStore, ZipStore

from tests.servers.client import Proxy
from zarrmill.errors import InvalidInputError, SourceFormatError
from zarrmill.hierarchy import Hierarchy, read_hierarchy
from zarrmill.store import OpenedStore, open_keys, open_store

PATHS = ["", "night", "night/deep", "night/deep/mask", "night/flux", "night-2", "time"]


def make_group(root: Path, *, zarr_format: int = 3) -> Path:
    """Write a nested group whose arrays have chunks."""
    group = zarr.create_group(root, zarr_format=zarr_format, attributes={"title": "survey"})
    for path in ("night/flux", "night/deep/mask", "time", "night-2"):
        array = group.create_array(path, shape=(4,), chunks=(1,), dtype="i4", attributes={"path": path})
        array[:] = 7
    return root


def make_node(directory: Path, documents: dict[str, Any]) -> None:
    """Write metadata files by hand."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, document in documents.items():
        (directory / name).write_text(document if isinstance(document, str) else json.dumps(document))


def as_memory(root: Path) -> OpenedStore:
    store = MemoryStore()
    for path in root.rglob("*"):
        if path.is_file():
            buffer = zarr.core.buffer.default_buffer_prototype().buffer.from_bytes(path.read_bytes())
            store._store_dict[path.relative_to(root).as_posix()] = buffer
    return open_store(store)


def as_part(root: Path) -> OpenedStore:
    return open_store(StorePath(WrapperStore(LocalStore(root.parent)), root.name))


def as_archive(root: Path) -> OpenedStore:
    return open_store(ZipStore(shutil.make_archive(str(root), "zip", root), mode="r"))


STORES = {"local": open_store, "memory": as_memory, "part": as_part, "archive": as_archive}


@pytest.fixture(params=STORES.values(), ids=STORES)
def read(request: pytest.FixtureRequest) -> Callable[[Path], Hierarchy]:
    """Read the hierarchy of a directory through each kind of store."""
    return lambda root: read_hierarchy(request.param(root))


@pytest.mark.parametrize("zarr_format", [2, 3], ids=["v2", "v3"])
def test_every_node_is_found(tmp_path: Path, read: Callable[[Path], Hierarchy], zarr_format: int) -> None:
    """All groups and arrays are there, parents first, each as a v3 document with its own attributes."""
    hierarchy = read(make_group(tmp_path / "a", zarr_format=zarr_format))

    assert list(hierarchy.nodes) == PATHS
    assert list(hierarchy.arrays) == ["night/deep/mask", "night/flux", "night-2", "time"]
    assert not hierarchy.is_array
    assert not hierarchy.consolidated
    assert {node.zarr_format for node in hierarchy.nodes.values()} == {zarr_format}
    assert {node.metadata["zarr_format"] for node in hierarchy.nodes.values()} == {3}
    assert hierarchy.nodes[""].metadata["attributes"] == {"title": "survey"}
    assert hierarchy.nodes["night/flux"].metadata["attributes"] == {"path": "night/flux"}


def test_an_array_may_be_the_root(tmp_path: Path, read: Callable[[Path], Hierarchy]) -> None:
    """A store that is one array is a hierarchy of one node."""
    hierarchy = read(make_group(tmp_path / "a") / "time")

    assert list(hierarchy.nodes) == [""]
    assert hierarchy.is_array


@pytest.mark.parametrize("zarr_format", [2, 3], ids=["v2", "v3"])
def test_consolidated_copies_are_noticed_but_not_believed(
    tmp_path: Path, read: Callable[[Path], Hierarchy], zarr_format: int
) -> None:
    """A copy of the metadata that has gone stale changes nothing, and leaves no trace in the documents."""
    root = make_group(tmp_path / "a", zarr_format=zarr_format)
    with warnings.catch_warnings():
        # zarr, on every consolidation of a v3 group.
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        zarr.consolidate_metadata(root)
    zarr.open_array(root / "time", mode="r+").attrs["path"] = "changed since"

    hierarchy = read(root)

    assert hierarchy.consolidated
    assert hierarchy.nodes["time"].metadata["attributes"]["path"] == "changed since"
    assert list(hierarchy.nodes) == PATHS
    assert "consolidated_metadata" not in hierarchy.nodes[""].metadata


def test_both_formats_may_be_mixed(tmp_path: Path, read: Callable[[Path], Hierarchy]) -> None:
    """A v2 member of a v3 group is read as it is stored, and v3 comes first where a node has both."""
    root = make_group(tmp_path / "a")
    zarr.create_array(root / "old", shape=(2,), dtype="f8", fill_value=None, zarr_format=2)
    make_node(root / "time", {".zarray": "not read"})

    hierarchy = read(root)

    assert hierarchy.nodes["old"].zarr_format == 2
    assert hierarchy.nodes["old"].notes == ("fill_value null became 0.0",)
    assert hierarchy.nodes["time"].zarr_format == 3


def test_what_holds_no_metadata_is_no_node(tmp_path: Path, read: Callable[[Path], Hierarchy]) -> None:
    """Hidden and other directories without metadata are passed by, and so is what lies below them."""
    root = make_group(tmp_path / "a")
    make_node(root / ".cache", {"data": "x"})
    make_node(root / "notes", {"readme.txt": "x"})
    make_group(root / "notes" / "below")

    assert list(read(root).nodes) == PATHS


def test_directories_of_arrays_are_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks are not looked at, however many there are."""
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(Path(path)) or scandir(path))
    root = make_group(tmp_path / "a")
    listed.clear()

    read_hierarchy(open_store(root))

    assert sorted(listed) == [root, root / "night", root / "night/deep"]


def test_nan_in_attributes_is_read(tmp_path: Path, read: Callable[[Path], Hierarchy]) -> None:
    """Attributes hold NaN as zarr-python writes it, which is not JSON."""
    zarr.create_group(tmp_path / "a", attributes={"missing": float("nan")})

    assert str(read(tmp_path / "a").nodes[""].metadata["attributes"]) == "{'missing': nan}"


@pytest.mark.parametrize(("name", "separator"), [("default", "/"), ("v2", ".")], ids=["default", "v2"])
def test_short_forms_of_chunk_keys_are_spelled_out(tmp_path: Path, name: str, separator: str) -> None:
    """Zarr 3.1 allows a name alone, which means the default separator of that name."""
    root = make_group(tmp_path / "a")
    document = json.loads((root / "time" / "zarr.json").read_text())
    make_node(root / "time", {"zarr.json": document | {"chunk_key_encoding": name}})

    metadata = read_hierarchy(open_store(root)).nodes["time"].metadata

    assert metadata["chunk_key_encoding"] == {"name": name, "configuration": {"separator": separator}}


def test_links_to_directories_are_followed(tmp_path: Path) -> None:
    """A member may lie elsewhere."""
    make_group(tmp_path / "a")
    os.symlink(tmp_path / "a" / "night", tmp_path / "a" / "linked")

    assert "linked/deep/mask" in read_hierarchy(open_store(tmp_path / "a")).arrays


def test_what_is_not_zarr_is_named(tmp_path: Path, read: Callable[[Path], Hierarchy]) -> None:
    """A directory of something else is refused with its path and what is missing."""
    make_node(tmp_path / "a", {"data.csv": "1,2"})

    with pytest.raises(SourceFormatError, match=r"a is not a Zarr array or group \(no zarr.json, .zarray or .zgroup\)"):
        read_hierarchy(open_store(tmp_path / "a"))
    with pytest.raises(SourceFormatError, match="is not a Zarr array or group"):
        read(tmp_path / "a")


def test_stores_that_cannot_list_are_refused() -> None:
    """Members can be found only where names can be listed."""

    class Unlisted(WrapperStore[MemoryStore]):
        supports_listing = False

    store = MemoryStore()
    zarr.create_group(store)

    with pytest.raises(InvalidInputError, match="cannot list its keys"):
        read_hierarchy(open_store(Unlisted(store)))


@pytest.fixture
def url(s3_bucket: str, storage_options: dict[str, Any]) -> str:
    """A tree of groups and arrays in a bucket, of both versions."""
    keys = open_keys(f"{s3_bucket}/tree", storage_options=storage_options)
    keys.put("note", b"")
    store = open_store(f"{s3_bucket}/tree", read_only=False, storage_options=storage_options).store
    root = zarr.create_group(store)
    for name in ("a", "b/c", "b/d/e"):
        root.create_array(name, shape=(4,), chunks=(1,), dtype="i4")[:] = 1
    zarr.create_group(store, path="old", zarr_format=2).create_array("x", shape=(2,), dtype="i4")
    return f"{s3_bucket}/tree"


def test_buckets_are_read_by_few_requests(url: str, proxy: Proxy) -> None:
    """Of each node the metadata are read, of each group the names; chunks are neither read nor listed."""
    hierarchy = read_hierarchy(open_store(url, storage_options=proxy.storage_options))
    counts = proxy.get_counts()

    assert list(hierarchy.nodes) == ["", "a", "b", "b/c", "b/d", "b/d/e", "old", "old/x"]
    assert list(hierarchy.arrays) == ["a", "b/c", "b/d/e", "old/x"]
    # One listing to see whether anything is there, and one for each of four groups.
    assert counts["LIST"] == 5
    # One for each node, and three more for each of v2, which has two files of three.
    assert counts["GET"] == 8 + 2 * 3
    assert {request.key.rpartition("/")[2] for request in proxy.get_requests() if request.kind == "GET"} == {
        "zarr.json",
        ".zarray",
        ".zgroup",
        ".zattrs",
    }


ARRAY = {"zarr_format": 3, "node_type": "array", "shape": [2]}
BAD = {
    "cut short": ({"zarr.json": '{"zarr_format": 3, "node'}, "zarr.json is not JSON"),
    "empty": ({"zarr.json": ""}, "zarr.json is not JSON"),
    "no object": ({"zarr.json": "[1]"}, "zarr.json holds list"),
    "other format": ({"zarr.json": {"zarr_format": 4}}, "zarr.json: zarr_format is 4"),
    "other node": ({"zarr.json": {"zarr_format": 3, "node_type": "table"}}, "node_type is 'table'"),
    "attributes": ({"zarr.json": {"zarr_format": 3, "node_type": "group", "attributes": 1}}, "attributes are 1"),
    "shape": ({"zarr.json": ARRAY | {"shape": [2.5]}}, r"shape is \[2.5\]"),
    "dimension names": ({"zarr.json": ARRAY | {"dimension_names": ["x", "y"]}}, "for 1 axes"),
    "keys": ({"zarr.json": {"zarr_format": 3, "node_type": "array", "shape": [2]}}, "data_type, .* codecs missing"),
    "v2 array": ({".zarray": {"shape": [2], "chunks": [1], "dtype": "|O"}}, ".zarray: values of dtype"),
    "v2 attributes": ({".zgroup": {"zarr_format": 2}, ".zattrs": "x"}, ".zattrs is not JSON"),
}  # fmt: skip


@pytest.mark.parametrize(("files", "words"), BAD.values(), ids=BAD)
def test_broken_metadata_are_named(
    tmp_path: Path, read: Callable[[Path], Hierarchy], files: dict[str, Any], words: str
) -> None:
    """What is wrong is said with the store, the node and the file."""
    root = make_group(tmp_path / "a")
    make_node(root / "broken", files)

    with pytest.raises(SourceFormatError, match=f"/broken/.*{words}"):
        read(root)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_metadata_are_named(tmp_path: Path) -> None:
    """A file that may not be read is no missing file."""
    root = make_group(tmp_path / "a")
    (root / "time" / "zarr.json").chmod(0)

    with pytest.raises(SourceFormatError, match=r"time/zarr.json cannot be read: Permission denied"):
        read_hierarchy(open_store(root))
