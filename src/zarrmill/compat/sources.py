"""What rechunker takes as a source, opened the way the engine reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import zarr
from zarr.abc.store import Store
from zarr.storage import StorePath

from zarrmill.compat.array_store import ArrayStore, lazy_array
from zarrmill.compat.dask_blocks import is_dask_array, longest_chunks
from zarrmill.compat.xarray_source import is_dataset, open_dataset
from zarrmill.errors import InvalidInputError
from zarrmill.grid import Shape
from zarrmill.hierarchy import Hierarchy, read_hierarchy
from zarrmill.layout import ArrayLayout
from zarrmill.metadata import layout_of
from zarrmill.store import OpenedStore, open_store


@dataclass(frozen=True, slots=True)
class Source:
    """An opened source."""

    opened: OpenedStore
    """Its store."""
    hierarchy: Hierarchy
    """Its nodes."""
    layouts: dict[str, ArrayLayout]
    """Layout of each array by path; "" where the source is an array."""
    computed: bool = False
    """Whether values are computed when they are asked for: they lie in no store, and in this process only."""
    dataset: bool = False
    """Whether it is an xarray Dataset."""
    own_chunks: dict[str, Shape] = field(default_factory=dict)
    """Chunks of the arrays that dask holds."""
    encodings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Codecs that the variables of a dataset had where they were read, as target options."""

    @property
    def is_array(self) -> bool:
        """Whether the source is a single array."""
        return self.hierarchy.is_array

    def member(self, path: str) -> StorePath:
        """Return one array of a group as a source of its own."""
        return StorePath(self.opened.store, path)

    def dims(self, path: str) -> tuple[str | None, ...] | None:
        """Return the dimension names of an array, those that xarray keeps in an attribute included."""
        named = self.layouts[path].dims
        listed = self.hierarchy.nodes[path].metadata.get("attributes", {}).get("_ARRAY_DIMENSIONS")
        return named if named is not None or listed is None else tuple(listed)


def open_source(source: Any, options: Mapping[str, Any]) -> Source:
    """Open a zarr Array or Group, a path to one, a dask array or an xarray Dataset.

    ``options`` are the target options, which by variable may change how a dataset is encoded. Raises InvalidInputError
    for anything else, and the errors of ``open_store``.
    """
    if is_dataset(source):
        made = open_dataset(source, options)
        computed = isinstance(made.location, ArrayStore)
        return _open(made.location, computed=computed, dataset=True, own_chunks=made.chunks, encodings=made.options)
    if is_dask_array(source):
        store = ArrayStore({"": lazy_array(source)}, name=f"dask array {source.name}")
        return _open(store, computed=True, own_chunks={"": longest_chunks(source)})
    if isinstance(source, str | os.PathLike | zarr.Array | zarr.Group | Store | StorePath):
        return _open(source)
    raise InvalidInputError(
        f"source must be a Zarr Array, Zarr Group, Dask Array or Xarray Dataset, or a path (not {type(source)})."
    )


def _open(location: Any, **more: Any) -> Source:
    opened = open_store(location)
    hierarchy = read_hierarchy(opened)
    layouts = {path: layout_of(node) for path, node in hierarchy.arrays.items()}
    return Source(opened, hierarchy, layouts, **more)
