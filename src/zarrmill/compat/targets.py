"""Where rechunker is told to write, and what is there already."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import zarr
from zarr.storage import LocalStore, StorePath

from zarrmill.documents import encode_documents
from zarrmill.errors import AlreadyExistsError, InvalidInputError, ZarrmillError
from zarrmill.hierarchy import Hierarchy, read_hierarchy
from zarrmill.store import open_store


def local_folder(store: Any, *, what: str) -> Path:
    """Return the folder that a path, a zarr store on the local disk, an fsspec mapping of one, or a group means.

    Raises InvalidInputError for everything that is not on the local disk.
    """
    if isinstance(store, zarr.Group | zarr.Array):
        store = store.store_path
    if isinstance(store, StorePath) and isinstance(store.store, LocalStore):
        return Path(os.path.abspath(store.store.root / store.path))
    if isinstance(store, LocalStore):
        return Path(os.path.abspath(store.root))
    if "file" in _protocols(store):
        return Path(os.path.abspath(store.root))
    if isinstance(store, str | os.PathLike):
        text = os.fspath(store)
        if text.startswith("file://"):
            return Path(os.path.abspath(unquote(urlsplit(text).path)))
        if "://" not in text:
            return Path(os.path.abspath(text))
    raise InvalidInputError(f"{what} {store!r} is not on the local disk, where this version writes. Give a path.")


def _protocols(store: Any) -> tuple[str, ...]:
    """Return the protocols of an fsspec mapping, which is what rechunker was often given; none for anything else."""
    protocol = getattr(getattr(store, "fs", None), "protocol", ())
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def read_target(folder: Path) -> Hierarchy | None:
    """Return the nodes of an existing target, None where there is none: nothing, an empty folder, or no Zarr."""
    try:
        return read_hierarchy(open_store(folder))
    except ZarrmillError:
        return None


def is_free(folder: Path) -> bool:
    """Tell whether a target can be made at a path without removing anything."""
    return not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir()))


def check_members(folder: Path, members: Hierarchy, wanted: Iterable[str], overwritten: Iterable[str]) -> None:
    """Raise AlreadyExistsError where an existing group has something at a wanted path that may not be replaced.

    Raises InvalidInputError for a group of Zarr v2, which cannot have members of v3.
    """
    if members.nodes[""].zarr_format != 3:
        raise InvalidInputError(f"{folder} is a Zarr v2 group, which cannot hold Zarr v3 arrays. Give a new target.")
    free = set(overwritten)
    for path in wanted:
        taken = path in members.nodes or not is_free(folder / path)
        if taken and path not in free:
            raise AlreadyExistsError(
                f"{folder / path} exists. Choose another target, or say so in target_options: "
                f"{{{path!r}: {{'overwrite': True}}}}."
            )


def extend_group(folder: Path, source: Hierarchy, wanted: Iterable[str]) -> None:
    """Give an existing group the attributes of the source's root, and the groups in which wanted arrays lie."""
    root = zarr.open_group(folder, mode="r+")
    root.attrs.update(source.nodes[""].metadata.get("attributes", {}))
    for path in wanted:
        parts = path.split("/")[:-1]
        for i in range(len(parts)):
            parent = "/".join(parts[: i + 1])
            attributes = source.nodes[parent].metadata.get("attributes", {})
            root.require_group(parent).attrs.update(attributes)


def consolidate(folder: Path) -> None:
    """Put a copy of all metadata into the root of a group, which xarray looks for."""
    nodes = read_hierarchy(open_store(folder)).nodes
    root = encode_documents({path: node.metadata for path, node in nodes.items()})[""]
    temporary = folder / ".zarr.json.tmp"
    temporary.write_bytes(root)
    os.replace(temporary, folder / "zarr.json")


def open_target(folder: Path) -> zarr.Array[Any] | zarr.Group:
    """Return what was made, open for reading and writing."""
    return zarr.open(folder, mode="r+")
