"""All metadata of a store, read from the files of each node; no chunk is touched."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from zarrmill.draft import STORE_CLAIM
from zarrmill.errors import InvalidInputError, SourceFormatError
from zarrmill.keyspace import KeySpace
from zarrmill.store import UNFINISHED, OpenedStore
from zarrmill.v2 import as_v3, group_as_v3

Files = Mapping[str, bytes]
"""Contents of the metadata files of one node, by file name."""

_FILES = (("zarr.json",), (".zarray", ".zattrs"), (".zgroup", ".zattrs"))
"""Metadata files by the order in which they are looked for: what comes first decides what a node is."""
_FILES_V2 = (".zarray", ".zgroup", ".zattrs")
_CONSOLIDATED_V2 = ".zmetadata"
_REQUESTS_AT_ONCE = 32
"""Keys of a store that are asked for together: enough to hide latency, few enough for every service."""


@dataclass(frozen=True, slots=True)
class Node:
    """One array or group, as Zarr v3 describes it."""

    path: str
    """Names joined by "/", without a leading one; "" is the root."""
    kind: Literal["array", "group"]
    """What the node is."""
    metadata: dict[str, Any]
    """The Zarr v3 document, without consolidated metadata and short forms; of a v2 node the one that says the same."""
    zarr_format: int
    """2 or 3: how the node is stored."""
    notes: tuple[str, ...] = ()
    """What the v3 document of a v2 node says otherwise."""


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """The nodes of a store."""

    nodes: dict[str, Node]
    """Node by path, parents first, the root included."""
    consolidated: bool
    """Whether the root has a copy of all metadata."""

    @property
    def arrays(self) -> dict[str, Node]:
        """The arrays by path."""
        return {path: node for path, node in self.nodes.items() if node.kind == "array"}

    @property
    def is_array(self) -> bool:
        """Whether the root is itself an array."""
        return self.nodes[""].kind == "array"


def read_hierarchy(opened: OpenedStore) -> Hierarchy:
    """Return every node of a store, of Zarr v3 and v2 alike.

    Copies in consolidated metadata are not believed, because they go stale. Directories without metadata are no nodes,
    and neither is what lies below them. Raises SourceFormatError, with the file's name, for metadata that are none.
    """
    if opened.local is not None:
        found = _read_directory(opened.local, opened.location)
    else:
        found = _read_keys(opened.keys, opened.location)
    if "" not in found:
        if opened.local is None and opened.keys.can_list and opened.keys.head(STORE_CLAIM) is not None:
            raise SourceFormatError(f"{opened.location} is not a Zarr array or group yet: {UNFINISHED}")
        raise SourceFormatError(
            f"{opened.location} is not a Zarr array or group (no zarr.json, .zarray or .zgroup). "
            f"Give the path of one, or of the store that holds it."
        )
    nodes = {path: found[path][0] for path in sorted(found, key=lambda path: path.split("/"))}
    return Hierarchy(nodes, consolidated=found[""][1])


Found = dict[str, tuple[Node, bool]]
"""Node by path, and whether it has consolidated metadata."""


def _read_directory(root: Path, location: str) -> Found:
    found: Found = {}
    waiting = [""]
    while waiting:
        path = waiting.pop()
        directory = os.path.join(root, path)
        files = _files(partial(_read_file, directory))
        if not files:
            continue
        node, consolidated = _parse(path, files, location)
        if not path and node.zarr_format == 2:
            consolidated = os.path.exists(os.path.join(directory, _CONSOLIDATED_V2))
        found[path] = node, consolidated
        # Directories of arrays hold chunks, maybe millions of them.
        if node.kind == "group":
            waiting += [_join(path, name) for name in _directories(directory)]
    return found


def _directories(directory: str) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except OSError as error:
        raise SourceFormatError(f"{directory} cannot be read: {error.strerror}") from error


def _files(read: Callable[[str], bytes | None]) -> Files:
    """Return the metadata files of a node: those of the first kind of node of which it has the main file."""
    for names in _FILES:
        main = read(names[0])
        if main is not None:
            others = {name: data for name in names[1:] if (data := read(name)) is not None}
            return {names[0]: main, **others}
    return {}


def _read_file(directory: str, name: str) -> bytes | None:
    path = os.path.join(directory, name)
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise SourceFormatError(f"{path} cannot be read: {error.strerror}") from error


def _read_keys(keys: KeySpace, location: str) -> Found:
    """Return the nodes of a key space, level by level, each level with many requests at once."""
    found: Found = {}
    with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
        level, children_of = [""], _listed_children(keys)
        while level:
            contents = _read_level(keys, level, pool)
            if level == [""] and not keys.can_list:
                children_of = _named_children(contents[""], location)
            groups = []
            for path, read in contents.items():
                files = _files(read.get)
                if files:
                    node, consolidated = _parse(path, files, location)
                    found[path] = node, consolidated or _CONSOLIDATED_V2 in read
                    groups += [path] if node.kind == "group" else []
            children = pool.map(children_of, groups)
            level = [_join(path, name) for path, some in zip(groups, children, strict=True) for name in some]
    return found


def _read_level(keys: KeySpace, paths: list[str], pool: ThreadPoolExecutor) -> dict[str, dict[str, bytes]]:
    """Return the metadata files of nodes by path and name; those of v2 are asked for where there are none of v3."""
    contents: dict[str, dict[str, bytes]] = {path: {} for path in paths}

    def read(wanted: list[tuple[str, str]]) -> None:
        values = pool.map(lambda one: keys.get(_join(*one)), wanted)
        for (path, name), value in zip(wanted, values, strict=True):
            if value is not None:
                contents[path][name] = bytes(value)

    read([(path, "zarr.json") for path in paths])
    old = [path for path in paths if not contents[path]]
    names = {path: _FILES_V2 if path else (*_FILES_V2, _CONSOLIDATED_V2) for path in old}
    read([(path, name) for path in old for name in names[path]])
    return contents


def _listed_children(keys: KeySpace) -> Callable[[str], list[str]]:
    return lambda path: keys.list_dir(path)[0]


def _named_children(files: Files, location: str) -> Callable[[str], list[str]]:
    """Return what finds the children of groups where nothing can be listed: the names in consolidated metadata.

    Nothing else of those is believed. Raises InvalidInputError where there are none; an array has no need of them.
    """
    main, member = ("zarr.json", "consolidated_metadata") if "zarr.json" in files else (_CONSOLIDATED_V2, "metadata")
    found = _document(files.get(main, b"{}"), f"{location}/{main}")
    names = found.get(member)
    if names is None and found.get("node_type") != "array" and ".zarray" not in files and files:
        raise InvalidInputError(
            f"{location} is in a store that cannot list its keys, and has no consolidated metadata to say what is in "
            f"it. Give the location of one array, or consolidate the metadata."
        )
    if main == "zarr.json":
        paths = list((names or {}).get("metadata", {}))
    else:
        paths = [name.rpartition("/")[0] for name in names or {}]
    return partial(_names_below, paths)


def _names_below(paths: list[str], path: str) -> list[str]:
    """Return the names directly below a path.

    >>> _names_below(["a", "a/b", "a/c/d", "ab/e", ""], "a")
    ['b', 'c']
    """
    folder = _join(path, "")
    below = {other.removeprefix(folder).partition("/")[0] for other in paths if other.startswith(folder)}
    return sorted(below - {""})


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _parse(path: str, files: Files, location: str) -> tuple[Node, bool]:
    """Return the node that metadata files describe, and whether it has consolidated metadata."""
    directory = f"{location}/{path}".rstrip("/")
    documents = {name: _document(data, f"{directory}/{name}") for name, data in files.items()}
    where = f"{directory}/{next(iter(files))}"
    if "zarr.json" in documents:
        document = documents["zarr.json"]
        consolidated = document.pop("consolidated_metadata", None) is not None
        problem = _find_problem(document)
        if problem is not None:
            raise SourceFormatError(f"{where}: {problem}")
        encoding = document.get("chunk_key_encoding")
        if isinstance(encoding, str):
            separator = "." if encoding == "v2" else "/"
            document["chunk_key_encoding"] = {"name": encoding, "configuration": {"separator": separator}}
        return Node(path, document["node_type"], document, 3), consolidated
    attributes = documents.get(".zattrs", {})
    if ".zarray" not in documents:
        return Node(path, "group", group_as_v3(attributes), 2), False
    try:
        metadata, notes = as_v3(documents[".zarray"], attributes)
    except SourceFormatError as error:
        raise SourceFormatError(f"{where}: {error}") from error
    return Node(path, "array", metadata, 2, notes), False


def _document(data: bytes, where: str) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise SourceFormatError(f"{where} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise SourceFormatError(f"{where} holds {type(document).__name__} where a JSON object belongs")
    return document


def _find_problem(document: dict[str, Any]) -> str | None:
    """Return what keeps a Zarr v3 document from being one.

    >>> _find_problem({"zarr_format": 3, "node_type": "array", "shape": [-1]})
    'shape is [-1] where a list of lengths belongs'
    """
    if document.get("zarr_format") != 3:
        return f"zarr_format is {document.get('zarr_format')!r} where 3 belongs"
    if document.get("node_type") not in ("array", "group"):
        return f"node_type is {document.get('node_type')!r} where 'array' or 'group' belongs"
    if not isinstance(document.get("attributes", {}), dict):
        return f"attributes are {document['attributes']!r} where an object belongs"
    if document["node_type"] == "group":
        return None
    shape = document.get("shape")
    if not isinstance(shape, list) or any(not isinstance(n, int) or n < 0 for n in shape):
        return f"shape is {shape!r} where a list of lengths belongs"
    names = document.get("dimension_names")
    if names is not None and (not isinstance(names, list) or len(names) != len(shape)):
        return f"dimension_names are {names!r} for {len(shape)} axes"
    needed = ("data_type", "chunk_grid", "chunk_key_encoding", "fill_value", "codecs")
    missing = [key for key in needed if key not in document]
    return f"{', '.join(missing)} missing" if missing else None
