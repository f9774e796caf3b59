"""How one array lies in a store, and what a request for chunks and shards makes of it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, Literal

from zarrmill.errors import InvalidInputError
from zarrmill.grid import ChunkGrid, Shape, round_up

Sizes = Mapping[str, int] | Sequence[int]
"""Sizes by dimension name or by axis; -1 is the whole axis."""
SizesRequest = Sizes | Mapping[str, Sizes]
"""Sizes for every array, or a mapping of array path to sizes."""
ShardsRequest = SizesRequest | Literal["auto"] | None

WHOLE_BELOW = 64 * 1024
"""Arrays of a hierarchy that are smaller stay in one chunk: one request fetches them whole whatever their shape."""
WHOLE_1D_BELOW = 16 * 2**20
"""Length in bytes up to which a 1-D array of a hierarchy (a coordinate, a column) stays in one chunk."""
SHARD_ABOVE_FILES = 1000
"""More chunks than this become shards: file systems and buckets charge by the key."""
SHARD_CHUNKS_BELOW = 1_000_000
"""Chunks below this many bytes become shards."""
SHARD_BYTES = (16 * 2**20, 128 * 2**20)
"""Smallest and largest shard that the automatic rule makes, in decoded bytes."""
SHARD_BYTES_AIM = 64 * 2**20
"""Size of shard that the automatic rule comes as close to as the other rules allow."""


@dataclass(frozen=True, slots=True)
class ArrayLayout:
    """Shape, type and division of one array.

    >>> layout = ArrayLayout(shape=(500, 20), dtype="float64", itemsize=8, chunks=(1, 20), shards=(500, 20))
    >>> layout.nbytes, layout.write_chunk, layout.n_write_chunks
    (80000, (500, 20), 1)
    """

    shape: Shape
    """Length per axis."""
    dtype: str
    """Name of the logical data type, as numpy or zarr write it: float64, datetime64[s], string."""
    itemsize: int
    """Bytes per value in memory; an estimate where the length of values varies."""
    chunks: Shape
    """Shape of the smallest unit that is read (the inner chunk where there are shards)."""
    shards: Shape | None = None
    """Shape of one stored key that holds inner chunks, a multiple of ``chunks``; None without shards."""
    dims: tuple[str | None, ...] | None = None
    """Dimension names, None where the array or an axis has none."""
    codecs: tuple[str, ...] = ()
    """The codecs of a chunk (the inner chunk where there are shards), each as compact JSON."""

    @property
    def write_chunk(self) -> Shape:
        """Shape of one stored key: the shard, or the chunk where there are none."""
        return self.shards or self.chunks

    @property
    def nbytes(self) -> int:
        """Decoded bytes of the whole array."""
        return math.prod(self.shape) * self.itemsize

    @property
    def chunk_nbytes(self) -> int:
        """Decoded bytes of one whole chunk."""
        return math.prod(self.chunks) * self.itemsize

    @property
    def n_chunks(self) -> int:
        """Number of (inner) chunks."""
        return len(ChunkGrid.over(self.shape, self.chunks))

    @property
    def n_write_chunks(self) -> int:
        """Number of stored keys when nothing is missing."""
        return len(ChunkGrid.over(self.shape, self.write_chunk))


def resolve_layout(
    source: ArrayLayout,
    *,
    path: str,
    chunks: SizesRequest | None,
    shards: ShardsRequest,
    explicit: bool,
) -> ArrayLayout:
    """Return the layout that a request asks for one array.

    ``path`` addresses the array in requests by path; ``explicit`` is False for the arrays of a hierarchy, which keep
    small and 1-D arrays whole, or in long chunks without shards, under requests that are not by path. An axis that the
    request does not name keeps the source's chunk length. A chunk larger than its axis is clipped. Raises
    InvalidInputError.

    >>> source = ArrayLayout(shape=(500, 20), dtype="float64", itemsize=8, chunks=(500, 1), dims=("object", "epoch"))
    >>> made = resolve_layout(source, path="flux", chunks={"object": 1, "epoch": -1}, shards="auto", explicit=True)
    >>> made.chunks, made.shards
    ((1, 20), (500, 20))
    """
    sizes, chunks_by_path = _sizes_for(chunks, path)
    shard_sizes, shards_by_path = _sizes_for(shards, path)
    explicit = explicit or chunks_by_path or shards_by_path
    if not explicit and _stays_whole(source):
        return replace(source, chunks=_whole(source.shape), shards=None)
    if sizes is None:
        inner = source.chunks
    else:
        asked = _by_axis(sizes, source, path=path, what="chunk", default=source.chunks)
        inner = tuple(max(1, min(c, n)) for c, n in zip(asked, source.shape, strict=True))
    if not explicit and len(inner) == 1:
        inner = (max(inner[0], WHOLE_1D_BELOW // source.itemsize),)
        shard_sizes = None
    made = replace(source, chunks=inner, shards=None)
    if shards == "auto":
        return replace(made, shards=choose_shards(made, source_chunks=source.write_chunk))
    if shard_sizes is None or not source.shape:
        return made
    return replace(made, shards=_shards(shard_sizes, made, path=path))


def find_clipped(source: ArrayLayout, *, path: str, chunks: SizesRequest | None) -> list[str]:
    """Return a note for each axis on which a requested chunk is longer than the array.

    >>> source = ArrayLayout(shape=(500, 20), dtype="float64", itemsize=8, chunks=(500, 1))
    >>> find_clipped(source, path="flux", chunks=(1, 64))
    ['chunk 64 of axis 1 is clipped to its length 20']
    """
    sizes, _ = _sizes_for(chunks, path)
    if sizes is None:
        return []
    asked = _by_axis(sizes, source, path=path, what="chunk", default=source.chunks)
    return [
        f"chunk {size} of axis {axis} is clipped to its length {n}"
        for axis, (size, n, kept) in enumerate(zip(asked, source.shape, source.chunks, strict=True))
        if size > max(1, n) and size != kept
    ]


def check_dimensions(request: SizesRequest | ShardsRequest, layouts: Mapping[str, ArrayLayout], *, what: str) -> None:
    """Raise InvalidInputError when a request names a dimension or a path that no array has."""
    if not isinstance(request, Mapping):
        return
    if _is_by_path(request):
        _check_names(request, layouts, f"{what} of array", "arrays")
        return
    known = {dim for layout in layouts.values() for dim in layout.dims or () if dim is not None}
    _check_names(request, known, f"{what}: dimension", "dimensions")


def choose_shards(layout: ArrayLayout, *, source_chunks: Shape) -> Shape | None:
    """Return the shards of the automatic rule, or None where none are needed.

    Shards come in when a chunk is under about 1 MB or when there would be more than 1,000 keys. A shard is 16 to 128 MB
    of whole chunks and divides, or is a multiple of, the source's chunk where the sizes allow it, so that few
    shards share a source chunk.

    >>> cube = ArrayLayout(shape=(50_000, 1200, 8, 2), dtype="float32", itemsize=4, chunks=(1, 1200, 8, 2))
    >>> choose_shards(cube, source_chunks=(5000, 1, 8, 2))
    (1000, 1200, 8, 2)
    """
    if layout.n_chunks <= 1 or not layout.shape:
        return None
    if layout.chunk_nbytes >= SHARD_CHUNKS_BELOW and layout.n_chunks <= SHARD_ABOVE_FILES:
        return None
    shard = list(layout.chunks)
    # Axes on which the source is long and the chunk short come first: growing those saves reading a chunk twice.
    axes = sorted(range(len(shard)), key=lambda a: layout.chunks[a] / source_chunks[a])
    for axis in axes:
        others = math.prod(shard) // shard[axis] * layout.itemsize
        shard[axis] = _shard_length(layout, axis, source_chunks[axis], others)
    return tuple(shard) if tuple(shard) != layout.chunks else None


def _shard_length(layout: ArrayLayout, axis: int, source_chunk: int, other_bytes: int) -> int:
    """Return the length of one axis of an automatic shard, given the bytes of one index of that axis."""
    chunk, whole = layout.chunks[axis], round_up(layout.shape[axis], layout.chunks[axis])
    if whole * other_bytes <= SHARD_BYTES_AIM:
        return whole
    limit = max(chunk, min(whole, SHARD_BYTES[1] // other_bytes))
    lengths = {k * chunk for k in _nice_counts(limit // chunk)} | {whole if whole <= limit else chunk}
    aligned = {n for n in lengths if source_chunk % n == 0 or n % source_chunk == 0 or n == whole}
    if not any(n * other_bytes >= SHARD_BYTES[0] for n in aligned):
        aligned = lengths
    return min(aligned, key=lambda n: abs(math.log(n * other_bytes / SHARD_BYTES_AIM)))


def _nice_counts(limit: int) -> Iterable[int]:
    """Return the counts of chunks that are tried for a shard: all of the small ones, then ever coarser steps."""
    return (k for k in range(1, limit + 1) if k <= 64 or k % (10 ** (len(str(k)) - 2)) == 0)


def _stays_whole(layout: ArrayLayout) -> bool:
    return layout.nbytes <= (WHOLE_1D_BELOW if len(layout.shape) <= 1 else WHOLE_BELOW)


def _whole(shape: Shape) -> Shape:
    return tuple(max(1, n) for n in shape)


def _is_by_path(request: Mapping[str, Any]) -> bool:
    return bool(request) and not any(isinstance(value, Integral) for value in request.values())


def _sizes_for(request: Any, path: str) -> tuple[Sizes | None, bool]:
    """Return the sizes that a request holds for one array, and whether it names that array."""
    if request is None or request == "auto":
        return None, False
    if isinstance(request, Mapping) and _is_by_path(request):
        return request.get(path), path in request
    return request, False


def _by_axis(sizes: object, layout: ArrayLayout, *, path: str, what: str, default: Shape) -> Shape:
    """Return sizes per axis with -1 resolved to the whole axis."""
    if isinstance(sizes, Mapping):
        named: Sequence[str | None] = layout.dims or [None] * len(layout.shape)
        asked = tuple(sizes.get(dim, d) if dim is not None else d for dim, d in zip(named, default, strict=True))
    elif isinstance(sizes, str) or not isinstance(sizes, Iterable):
        raise InvalidInputError(
            f"{path or 'array'}: {what} sizes {sizes!r} are no list. Give one size per axis, or sizes by dimension."
        )
    else:
        asked = tuple(sizes)
    if len(asked) != len(layout.shape):
        raise InvalidInputError(
            f"{path or 'array'}: {len(asked)} {what} sizes for {len(layout.shape)} axes {layout.shape}. "
            f"Give one size per axis."
        )
    for axis, size in enumerate(asked):
        if not _is_length(size):
            raise InvalidInputError(
                f"{path or 'array'}: {what} size {size!r} of axis {axis} is neither positive nor -1. "
                f"Give a length of 1 or more, or -1 for the whole axis."
            )
    return tuple(max(1, n) if size == -1 else int(size) for size, n in zip(asked, layout.shape, strict=True))


def _is_length(size: object) -> bool:
    """Tell whether a size is a length of at least 1, or -1 for the whole axis."""
    return not isinstance(size, bool) and isinstance(size, Integral) and (int(size) >= 1 or size == -1)


def _shards(sizes: Sizes, made: ArrayLayout, *, path: str) -> Shape:
    """Return explicit shards: whole chunks, never longer than the axis rounded up to whole chunks."""
    whole = tuple(round_up(max(1, n), c) for n, c in zip(made.shape, made.chunks, strict=True))
    named = isinstance(sizes, Mapping)
    asked = _by_axis(sizes, made, path=path, what="shard", default=whole if named else made.chunks)
    shards = []
    for axis, (size, chunk, n, most) in enumerate(zip(asked, made.chunks, made.shape, whole, strict=True)):
        if size >= n:
            size = most
        if size % chunk:
            raise InvalidInputError(
                f"{path or 'array'}: shard {size} of axis {axis} is not a multiple of its chunk {chunk}. "
                f"Use {round_up(size, chunk)}, or a chunk that divides {size}."
            )
        shards.append(size)
    return tuple(shards)


def _check_names(asked: Iterable[str], known: Iterable[str], what: str, plural: str) -> None:
    known = sorted(known)
    for name in asked:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise InvalidInputError(f"{what} {name!r} is not in the source. {hint}It has the {plural} {known}.")
