"""How large blocks, shards and chunks of light curves are: pure arithmetic.

A chunk of the object layout is one object times one block of epochs, so that a light curve is one range of one shard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zarrmill.errors import InvalidInputError
from zarrmill.grid import ceil_div
from zarrmill.lightcurves.options import check_length, did_you_mean

EPOCHS_PER_BLOCK = 512
"""Epochs in one chunk at the most, unless told otherwise: 2 KiB per measurement."""
MOST_INNER = 4000
"""Chunks per shard at the most: an index of 64 kB, one request that is worth keeping."""
SHARD_BYTES = {"local": 32 * 2**20, "remote": 128 * 2**20}
"""Decoded bytes of a shard to aim at, on a disk and on an object store."""
EPOCH_CHUNK_BYTES = 64 * 1024
"""Decoded bytes of one chunk of an epoch: what is decoded to read one object of an epoch that is not folded yet."""
FEWEST_OBJECTS = 64
"""Objects in a shard at the least, so that a small store can grow."""
TABLE_ROWS = (16_384, 262_144)
"""Rows in one chunk of a table of objects, least and most: 2 MiB of float64 at the most, few keys for any catalogue."""
DIMENSIONS = ("object", "epoch", "measurement", "value")
"""Names that ``chunks`` may have."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of one store."""

    epoch_block: int
    """Epochs in one chunk and one shard of the object layout."""
    shard_objects: int
    """Objects in one shard of the object layout."""
    epoch_chunk: int
    """Objects in one chunk of an epoch."""


def choose_sizes(
    *, n_objects: int, max_epochs: int | None, record: int, asked: Sizes | None = None, remote: bool = False
) -> Sizes:
    """Return the sizes for a store in which one object at one epoch takes ``record`` bytes per array.

    Zeros in ``asked`` are chosen here, other figures stay.

    >>> choose_sizes(n_objects=400_000, max_epochs=1200, record=8)
    Sizes(epoch_block=400, shard_objects=4000, epoch_chunk=4000)
    >>> choose_sizes(n_objects=50_000, max_epochs=1200, record=160)
    Sizes(epoch_block=400, shard_objects=524, epoch_chunk=262)
    """
    asked = asked or Sizes(0, 0, 0)
    block = asked.epoch_block or spread(max_epochs or EPOCHS_PER_BLOCK, EPOCHS_PER_BLOCK)
    most = max(1, min(MOST_INNER, SHARD_BYTES["remote" if remote else "local"] // (record * block)))
    chunk = asked.epoch_chunk or max(1, EPOCH_CHUNK_BYTES // record)
    if asked.shard_objects:
        return Sizes(block, asked.shard_objects, asked.epoch_chunk or spread(asked.shard_objects, chunk))
    objects = min(most, max(n_objects, FEWEST_OBJECTS))
    if not asked.epoch_chunk:
        chunk = spread(objects, chunk)
    # Chunks that lie in one shard each are decoded once when an epoch is folded.
    shard = max(chunk, most // chunk * chunk) if chunk <= most else spread(chunk, most)
    return Sizes(block, min(shard, ceil_div(objects, chunk) * chunk), chunk)


def spread(length: int, most: int) -> int:
    """Return the part into which a length divides most evenly without exceeding ``most``.

    >>> spread(1200, 512), spread(500, 512), spread(4000, 8192)
    (400, 500, 4000)
    """
    return ceil_div(length, ceil_div(length, most))


def table_rows(count: int) -> int:
    """Return the rows in one chunk of a table that begins with ``count`` rows: a power of two.

    >>> table_rows(10), table_rows(100_000), table_rows(10**7)
    (16384, 131072, 262144)
    """
    least, most = TABLE_ROWS
    return min(most, max(least, 1 << max(0, count - 1).bit_length()))


def read_chunks(chunks: Mapping[str, int] | None) -> tuple[int, int]:
    """Return the objects of an epoch's chunk and the number of measurements that ``chunks`` implies; 0 is not said.

    Raises InvalidInputError for unknown dimensions and for epochs that would share a key.
    """
    given = dict(chunks or {})
    for name, size in given.items():
        if name not in DIMENSIONS:
            hint = did_you_mean(name, DIMENSIONS)
            raise InvalidInputError(f"chunks: {name!r} is no dimension.{hint} Use some of {list(DIMENSIONS)}.")
        if size != -1:
            check_length(size, what=f"chunks: {name}")
    if given.get("epoch", 1) != 1:
        raise InvalidInputError(
            f"chunks: epoch is {given['epoch']}, but an epoch is written alone, so that writers of two epochs share no "
            f"key. Use 1; how epochs are read is CreateOptions(epoch_block=...)."
        )
    return max(0, given.get("object", 0)), max(0, given.get("measurement", 0))
