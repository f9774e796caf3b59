"""All metadata of a store, read from the files of each node; no chunk is touched."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from zarrmill.errors import InvalidInputError, SourceFormatError
from zarrmill.store import OpenedStore
from zarrmill.v2 import as_v3, group_as_v3

Files = Mapping[str, bytes]
"""Contents of the metadata files of one node, by file name."""

_FILES = (("zarr.json",), (".zarray", ".zattrs"), (".zgroup", ".zattrs"))
"""Metadata files by the order in which they are looked for: what comes first decides what a node is."""
_FILES_V2 = (".zarray", ".zgroup", ".zattrs")
_CONSOLIDATED_V2 = ".zmetadata"
_REQUESTS_AT_ONCE = 64
"""Nodes of a store that are asked for together: enough to hide latency, few enough for every service."""


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
    elif not opened.store.supports_listing:
        raise InvalidInputError(f"{opened.location} is in a store that cannot list its keys. Give one that can.")
    else:
        found = sync(_read_store(opened.store, opened.location))
    if "" not in found:
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


async def _read_store(store: Store, location: str) -> Found:
    found: Found = {}
    limit = asyncio.Semaphore(_REQUESTS_AT_ONCE)

    async def get(key: str) -> bytes | None:
        async with limit:
            value = await store.get(key, default_buffer_prototype())
        return None if value is None else value.to_bytes()

    async def visit(path: str) -> None:
        contents = {"zarr.json": await get(_join(path, "zarr.json"))}
        if contents["zarr.json"] is None:
            names = _FILES_V2 if path else (*_FILES_V2, _CONSOLIDATED_V2)
            contents |= zip(names, await asyncio.gather(*(get(_join(path, name)) for name in names)), strict=True)
        files = _files(contents.get)
        if not files:
            return
        node, consolidated = _parse(path, files, location)
        found[path] = node, consolidated or contents.get(_CONSOLIDATED_V2) is not None
        if node.kind == "group":
            children = [name async for name in store.list_dir(path) if name not in contents]
            await asyncio.gather(*(visit(_join(path, name)) for name in children))

    await visit("")
    return found


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
