"""The plan of one array: its passes, and the grids of their blocks and tiles."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from zarrmill.grid import ChunkGrid, Region, Shape, ceil_div, round_up
from zarrmill.layout import ArrayLayout

Route = Literal["driver", "bytes", "zarr"]
"""How an end is reached: our codec driver, encoded bytes moved as they are, or zarr-python's own pipeline."""
End = Literal["stored", "scratch"]


@dataclass(frozen=True, slots=True)
class Pass:
    """One sweep over one array: every tile is read once and written once."""

    reads: End
    """Where the values come from: the source, or the intermediate before."""
    writes: End
    """Where they go: the target, or the next intermediate."""
    tile: Shape
    """What is held at once."""
    block: Shape
    """What one block covers: whole tiles and, at the target, whole write chunks."""
    buffers: int
    """Tiles in memory: with 2 one is read while the other is written."""
    threads: int
    """Threads that decode and encode."""
    projected_mem: int
    """Bound of the memory of a block, in bytes."""


@dataclass(frozen=True, slots=True)
class ArrayPlan:
    """How one array gets from its source layout to its target layout."""

    path: str
    """Path below the root; "" when the root is an array."""
    source: ArrayLayout
    """Layout that is read."""
    target: ArrayLayout
    """Layout that is written."""
    read_route: Route
    """How chunks are read."""
    write_route: Route
    """How chunks are written."""
    domain: Shape
    """Boxes that share no chunk with each other: all passes of one are done before the next begins."""
    passes: tuple[Pass, ...]
    """The passes in order; one without an intermediate."""
    chunks_read: int
    """Source chunks decoded in all, repeats counted, missing ones too."""

    @property
    def reread(self) -> float:
        """How often a source chunk is decoded on average."""
        return self.chunks_read / self.source.n_chunks if self.source.n_chunks else 0.0

    @property
    def projected_mem(self) -> int:
        """Bound of the memory of any of its blocks, in bytes."""
        return max(p.projected_mem for p in self.passes)

    @property
    def scratch_bytes(self) -> int:
        """Space that the intermediates take at the most, in bytes."""
        if len(self.passes) == 1:
            return 0
        held = min(len(self.passes) - 1, 2)
        return (
            held
            * math.prod(min(d, n) for d, n in zip(self.domain, self.source.shape, strict=True))
            * (self.source.itemsize)
        )

    def domains(self) -> ChunkGrid:
        """Return the grid of independent boxes."""
        return ChunkGrid.over(self.source.shape, self.domain)

    def block_grid(self, pass_index: int, domain: Region) -> ChunkGrid:
        """Return the blocks of a pass within one independent box."""
        return ChunkGrid(domain, self.passes[pass_index].block)

    def tile_grid(self, pass_index: int, domain: Region) -> ChunkGrid:
        """Return the tiles of a pass within one independent box."""
        return ChunkGrid(domain, self.passes[pass_index].tile)

    def redone_share(self, changed: Region) -> float:
        """Return which part of the array is done again when a box of it has changed.

        Those are whole blocks of a single pass, and of several passes the whole independent boxes.
        """
        whole = Region.whole(self.source.shape)
        grid = self.domains() if len(self.passes) > 1 else self.block_grid(0, whole)
        box = grid.box(changed)
        if not whole.size or not box.size:
            return 0.0
        last = tuple(n - 1 for n in box.stop)
        return Region(grid.region(box.start).start, grid.region(last).stop).size / whole.size

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ArrayPlan:
        """Return the plan that ``to_json`` wrote."""
        values = dict(data)
        values["source"] = layout_from_json(data["source"])
        values["target"] = layout_from_json(data["target"])
        values["domain"] = tuple(data["domain"])
        values["passes"] = tuple(
            Pass(**{**p, "tile": tuple(p["tile"]), "block": tuple(p["block"])}) for p in data["passes"]
        )
        return cls(**values)


def layout_from_json(data: dict[str, Any]) -> ArrayLayout:
    """Return a layout from its fields as JSON values."""
    tuples = {key: tuple(data[key]) if data[key] is not None else None for key in ("shards", "dims")}
    return ArrayLayout(
        **{**data, **tuples, "shape": tuple(data["shape"]), "chunks": tuple(data["chunks"]),
           "codecs": tuple(data["codecs"])}
    )  # fmt: skip


def group_tiles(shape: Shape, tile: Shape, write_chunk: Shape | None, *, itemsize: int, aim: int) -> Shape:
    """Return the smallest box of whole tiles and whole write chunks, grown along the last axes to ``aim`` bytes.

    It does not grow behind an axis on which a tile ends inside a write chunk: each would be open at once.

    >>> group_tiles((100, 100), (10, 100), (20, 50), itemsize=1, aim=0)
    (20, 100)
    """
    block = list(tile)
    if write_chunk is not None:
        block = [math.lcm(t, w) for t, w in zip(tile, write_chunk, strict=True)]
    whole = [round_up(max(1, n), b) for n, b in zip(shape, block, strict=True)]
    block = [min(b, w) for b, w in zip(block, whole, strict=True)]
    inside = [
        write_chunk is not None and not _ends_with(t, w, n)
        for t, w, n in zip(tile, write_chunk or tile, shape, strict=True)
    ]
    grown = inside.index(True) + 1 if True in inside else len(block)
    for axis in reversed(range(grown)):
        room = aim // max(1, math.prod(min(b, max(1, n)) for b, n in zip(block, shape, strict=True)) * itemsize)
        count = ceil_div(shape[axis], block[axis]) if shape[axis] else 1
        block[axis] = block[axis] * max(1, min(room, count))
    return tuple(block)


def count_open(shape: Shape, tile: Shape, block: Shape, write_chunk: Shape) -> int:
    """Return a bound for the write chunks that are begun and not complete while the tiles of a block come in C order.

    A tile that ends inside a write chunk on some axis leaves open all that lie side by side on the axes behind it.

    >>> count_open((100, 100), (20, 100), (20, 100), (20, 10)), count_open((100, 100), (10, 100), (20, 100), (20, 10))
    (1, 11)
    """
    bound, behind = 0, 1
    for n, t, b, w in reversed(list(zip(shape, tile, block, write_chunk, strict=True))):
        if _ends_with(t, w, n):
            bound *= ceil_div(max(1, min(t, n)), w)
        elif w % t == 0:
            bound = behind
        else:
            bound = bound * ceil_div(t, w) + behind
        behind *= ceil_div(max(1, min(b, n)), w)
    return bound + 1


def _ends_with(tile: int, write_chunk: int, n: int) -> bool:
    """Tell whether no tile of an axis ends inside a write chunk."""
    return tile % write_chunk == 0 or tile >= n
