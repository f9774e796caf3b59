"""The workloads: shapes, layouts, limits. Standard library only, because the Zarr v2 environment imports it too."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

Shape = tuple[int, ...]
Layout = Literal["shards", "files"]

MIB = 1 << 20


@dataclass(frozen=True)
class ArrayCase:
    """One array of a workload and what its target shall look like."""

    path: str
    """Path below the root of the store; empty for an array that is the root."""
    shape: Shape
    """Extent of each axis."""
    dims: tuple[str, ...]
    """Name of each axis."""
    dtype: str
    """numpy name of the data type."""
    source_chunks: Shape
    """Chunks of the source, which is never sharded."""
    chunks: Shape
    """Inner chunks of the target."""
    shards: Shape
    """Shards of the target in the layout `shards`."""
    kind: Literal["lightcurves", "grid"]
    """Which values fill it."""

    @property
    def itemsize(self) -> int:
        """Bytes of one value (`f8` has 8)."""
        return int(self.dtype[1:])

    @property
    def nbytes(self) -> int:
        """Decoded bytes."""
        return math.prod(self.shape) * self.itemsize

    def write_chunk(self, layout: Layout) -> Shape:
        """What one stored key of the target holds: a shard, or a chunk where nothing is sharded."""
        return self.shards if layout == "shards" else self.chunks

    def scaled(self, factor: float) -> ArrayCase:
        """The same array with axis 0 shortened; chunks that spanned the axis still span it."""
        extent = max(1, round(self.shape[0] * factor))

        def shorten(shape: Shape) -> Shape:
            return (min(shape[0], extent), *shape[1:])

        return dataclasses.replace(
            self,
            shape=(extent, *self.shape[1:]),
            source_chunks=shorten(self.source_chunks),
            chunks=shorten(self.chunks),
            shards=shorten(self.shards),
        )


@dataclass(frozen=True)
class Size:
    """A workload: arrays, memory limit, patience."""

    name: str
    """Letter by which it is chosen."""
    arrays: tuple[ArrayCase, ...]
    """Arrays that one call moves."""
    layouts: tuple[Layout, ...]
    """Target layouts that every contender writes."""
    max_mem: int
    """Bytes of memory that a contender is allowed, where it can be told."""
    time_limit: int
    """Seconds after which a run is ended."""
    repeats: int
    """Runs of this project and of the floor."""
    peer_repeats: int
    """Runs of everybody else."""

    @property
    def nbytes(self) -> int:
        """Decoded bytes of all arrays."""
        return sum(case.nbytes for case in self.arrays)

    @property
    def is_group(self) -> bool:
        """Whether the root of the store is a group."""
        return any(case.path for case in self.arrays)

    def scaled(self, factor: float) -> Size:
        """The same workload with axis 0 of every array shortened."""
        return dataclasses.replace(self, arrays=tuple(case.scaled(factor) for case in self.arrays))

    def to_json(self) -> dict[str, Any]:
        """Plain values that `from_json` takes."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Size:
        """Inverse of `to_json`, also after a trip through JSON text."""

        def array(fields: dict[str, Any]) -> ArrayCase:
            frozen: dict[str, Any] = {
                key: tuple(part) if isinstance(part, list) else part for key, part in fields.items()
            }
            return ArrayCase(**frozen)

        arrays = tuple(array(fields) for fields in value["arrays"])
        return cls(**{**value, "arrays": arrays, "layouts": tuple(value["layouts"])})


def _survey(objects: int, epochs: int, path: str, shard: int) -> ArrayCase:
    """Light curves recorded epoch by epoch: (objects, 1, 2) per chunk, wanted as (1, epochs, 2)."""
    return ArrayCase(
        path=path,
        shape=(objects, epochs, 2),
        dims=("object", "epoch", "column"),
        dtype="f8",
        source_chunks=(shard, 1, 2),
        chunks=(1, epochs, 2),
        shards=(shard, epochs, 2),
        kind="lightcurves",
    )


def _two_arrays(name: str, objects: int, repeats: int) -> Size:
    arrays = tuple(_survey(objects, 500, path, 1000) for path in ("flux", "flux_err"))
    return Size(name, arrays, ("shards", "files"), 256 * MIB, 180, repeats, 3)


_L = ArrayCase(
    path="",
    shape=(50_000, 1200, 8, 2),
    dims=("object", "epoch", "band", "column"),
    dtype="f4",
    source_chunks=(5000, 1, 8, 2),
    chunks=(1, 1200, 8, 2),
    shards=(1000, 1200, 8, 2),
    kind="lightcurves",
)
_G = ArrayCase(
    path="",
    shape=(960, 721, 1440),
    dims=("time", "lat", "lon"),
    dtype="f4",
    source_chunks=(1, 721, 1440),
    chunks=(960, 20, 20),
    shards=(960, 20, 360),
    kind="grid",
)

SIZES: dict[str, Size] = {
    "S": Size("S", (_survey(500, 20, "", 500),), ("shards", "files"), 256 * MIB, 180, 5, 5),
    "M": _two_arrays("M", 10_000, 5),
    # Four times M: with M and L it shows how the time grows with the data.
    "M4": dataclasses.replace(_two_arrays("M4", 40_000, 3), layouts=("shards",), time_limit=300),
    "L": Size("L", (_L,), ("shards",), 512 * MIB, 600, 3, 2),
    "G": Size("G", (_G,), ("shards",), 512 * MIB, 600, 3, 2),
}

WARM_UP = Size("warm-up", (_survey(16, 4, "", 8),), ("shards", "files"), 256 * MIB, 60, 1, 1)
"""So small that only imports, thread pools and first-call caches take time in it."""
