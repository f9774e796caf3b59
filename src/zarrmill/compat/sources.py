"""What rechunker takes as a source, opened the way the engine reads it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import zarr
from zarr.abc.store import Store
from zarr.storage import StorePath

from zarrmill.compat.array_store import ArrayStore, LazyArray, chunks_of, computing
from zarrmill.compat.xarray_source import is_dataset, open_dataset
from zarrmill.errors import InvalidInputError
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
    lazy: frozenset[str] = frozenset()
    """Variables of a dataset that have chunks of their own."""
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
        opened = _open(made.store, computed=True)
        return Source(**opened, dataset=True, lazy=made.lazy, encodings=made.options)
    if _is_dask_array(source):
        lazy = LazyArray(tuple(map(int, source.shape)), source.dtype, chunks_of(source), computing(source))
        return Source(**_open(ArrayStore({"": lazy}, name=f"dask array {source.name}"), computed=True))
    if isinstance(source, str | os.PathLike | zarr.Array | zarr.Group | Store | StorePath):
        return Source(**_open(source, computed=False))
    raise InvalidInputError(
        f"source must be a Zarr Array, Zarr Group, Dask Array or Xarray Dataset, or a path (not {type(source)})."
    )


def _open(location: Any, *, computed: bool) -> dict[str, Any]:
    opened = open_store(location)
    hierarchy = read_hierarchy(opened)
    layouts = {path: layout_of(node) for path, node in hierarchy.arrays.items()}
    return {"opened": opened, "hierarchy": hierarchy, "layouts": layouts, "computed": computed}


def _is_dask_array(source: Any) -> bool:
    """Tell whether something is a dask array; where dask has not been imported there is none."""
    dask_array = sys.modules.get("dask.array")
    return dask_array is not None and isinstance(source, dask_array.Array)
