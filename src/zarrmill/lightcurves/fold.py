"""Folding epochs into the object layout: a plan whose blocks are shards, each read, completed and replaced whole."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.digest import ArrayDigest, Share
from zarrmill.errors import VerifyError
from zarrmill.execute.executors import cores
from zarrmill.execute.fence import Fence
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.local import LocalKeys
from zarrmill.lightcurves.cube import CubeArray, count_shards, shard_key
from zarrmill.lightcurves.epoch_groups import EpochGroup
from zarrmill.lightcurves.lock import LockMark
from zarrmill.lightcurves.parallel import REQUESTS_AT_ONCE, gather
from zarrmill.lightcurves.pending import PendingEpochs
from zarrmill.lightcurves.record import find_runs
from zarrmill.lightcurves.schema import Field, Schema
from zarrmill.plan.model import Advance, Block, BlockResult

STACKED = 16
"""Epochs that are turned together: a cache line of float32."""
_MASK = 2**64 - 1


@dataclass(frozen=True, slots=True)
class FoldedBlock:
    """What becomes of one block of epochs."""

    number: int
    """Number of the block."""
    kept: tuple[int, ...]
    """Columns, counted from its start, whose values are in the source's shards."""
    kept_objects: int
    """Objects that those shards have."""
    epochs: tuple[tuple[int, EpochGroup], ...]
    """Columns and epochs that come in."""

    @property
    def columns(self) -> NDArray[np.int64]:
        """All columns that will be there."""
        return np.array(sorted({*self.kept, *(column for column, _ in self.epochs)}), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class ShardBlock:
    """One shard of one array."""

    field: str
    """Name of the array."""
    shard: int
    """Number of the shard along the axis of objects."""
    block: int
    """Number of the block of epochs."""


@dataclass(frozen=True, slots=True)
class FoldStage:
    """The shards of one block of epochs."""

    block: FoldedBlock
    """What becomes of it."""
    schema: Schema
    """The store's."""
    n_objects: int
    """Number of objects."""

    @property
    def name(self) -> str:
        """What the stage does, for people."""
        return f"fold {len(self.block.epochs)} epochs into block {self.block.number}"

    @property
    def weight(self) -> int:
        """Decoded bytes of its shards."""
        return sum(block.weight for block in self.blocks())

    def __len__(self) -> int:
        return len(self.schema.fields) * count_shards(self.n_objects, self.schema.sizes.shard_objects)

    def blocks(self) -> Iterator[Block]:
        """Yield the shards, each a block: no two write the same key."""
        size = self.schema.sizes.shard_objects
        for field in self.schema.fields:
            m = self.schema.n_measurements if field.per_measurement else 1
            record = m * self.schema.sizes.epoch_block * field.type.itemsize
            for shard in range(count_shards(self.n_objects, size)):
                payload = ShardBlock(field.name, shard, self.block.number)
                weight = min(size, self.n_objects - shard * size) * record
                yield Block(f"{field.name}:{self.block.number}:{shard}", payload, weight)


@dataclass(frozen=True, slots=True)
class FoldPlan:
    """The blocks of epochs one after the other, so that what is folded can be recorded block by block."""

    stages: tuple[FoldStage, ...]
    """One stage per block of epochs."""


@dataclass(frozen=True)
class FoldOperation:
    """Makes one shard: what is kept of the source's, and the epochs that come in. Picklable, and idempotent."""

    source: KeySpace
    """Store that has the epochs, and the shards that are kept."""
    target: KeySpace
    """Store whose shards are written; the source itself unless it is copied."""
    schema: Schema
    """The store's."""
    n_objects: int
    """Number of objects."""
    blocks: Mapping[int, FoldedBlock]
    """What becomes of each block of epochs, by number."""
    guard: Fence | LockMark | None = None
    """What keeps a block that outlives its run from replacing a shard: it may be on another machine."""

    def put(self, key: str, data: bytes) -> None:
        """Put a shard in one piece, unless the run is over."""
        if isinstance(self.guard, Fence):
            assert isinstance(self.target, LocalKeys)
            made = self.guard.new_path()
            made.write_bytes(data)
            (self.target.path / key).parent.mkdir(parents=True, exist_ok=True)
            os.replace(made, self.target.path / key)
            return
        if self.guard is not None:
            self.guard.check(self.target)
        self.target.put(key, data)

    def __call__(self, block: Block, advance: Advance, /) -> BlockResult:
        """Make a shard, write it, read it back; return its digest share."""
        payload: ShardBlock = block.payload
        with WORKSHOP.turn():
            meter = WORKSHOP.measure()
            fold = _ShardFold(self, self.schema.field(payload.field), payload)
            values = fold.gather()
            written = fold.write(values)
            share = fold.verify(values)
            advance(block.weight)
            counts = {"bytes_written": written, "keys_written": 1, "bytes_read": fold.bytes_read}
            facts = {"share": share.to_json(), "memory": str(meter.now()), "peak": str(meter.peak())}
            return BlockResult(block.id, counts, facts)

    @cached_property
    def pending(self) -> PendingEpochs:
        """The epochs that come in."""
        return PendingEpochs(self.source, self.schema)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "pending"}


class _ShardFold:
    """One shard while it is made."""

    def __init__(self, operation: FoldOperation, field: Field, payload: ShardBlock) -> None:
        size = operation.schema.sizes.shard_objects
        self._operation = operation
        self._field = field
        self._payload = payload
        self._block = operation.blocks[payload.block]
        self._cube = CubeArray(operation.source, operation.schema, field)
        self._start = payload.shard * size
        self._stop = min(operation.n_objects, self._start + size)
        self._key = shard_key(field, payload.shard, payload.block)
        self.bytes_read = 0

    @property
    def _threads(self) -> ThreadPoolExecutor | None:
        return WORKSHOP.pool(cores()) if cores() > 1 else None

    def gather(self) -> NDArray[Any]:
        """Return the values of the shard: (object, measurement, epoch) or (object, epoch)."""
        shape = (self._stop - self._start, *self._cube.stored.chunk[1:])
        values = np.full(shape, self._field.fill, dtype=self._field.type)
        kept = min(self._stop, self._block.kept_objects) - self._start
        if self._block.kept and kept > 0:
            old = self._cube.read_shard(self._payload.shard, self._payload.block, rows=kept)
            columns = list(self._block.kept)
            values[:kept, ..., columns] = old[..., columns]
            self.bytes_read += old.nbytes
        remote = not isinstance(self._operation.source, LocalKeys)
        pool = WORKSHOP.pool(REQUESTS_AT_ONCE) if remote else self._threads
        for nbytes in gather(pool, (partial(self._turn, some, values) for some in _stacks(self._block.epochs))):
            self.bytes_read += nbytes
        return values

    def _turn(self, epochs: Sequence[tuple[int, EpochGroup]], values: NDArray[Any]) -> int:
        """Set the columns of a few epochs that follow each other; return the bytes read."""
        read = self._operation.pending.read_rows
        parts = [read(epoch, self._field, self._start, self._stop) for _, epoch in epochs]
        rows = min(map(len, parts))
        first = epochs[0][0]
        # Turned together, a cache line is fetched once for all of its epochs.
        stack = np.stack([part[:rows] for part in parts])
        values[:rows, ..., first : first + len(parts)] = np.moveaxis(stack, 0, -1)
        for (column, _), part in zip(epochs, parts, strict=True):
            values[rows : len(part), ..., column] = part[rows:]
        return sum(part.nbytes for part in parts)

    def write(self, values: NDArray[Any]) -> int:
        """Put the shard in one piece; return its stored bytes."""
        data = self._cube.stored.encode(values, self._threads)
        self._operation.put(self._key, data)
        return len(data)

    def verify(self, values: NDArray[Any]) -> Share:
        """Return the digest share of what is stored now. Raises VerifyError when that is not what was written."""
        data = self._operation.target.get(self._key)
        back = None if data is None else self._cube.stored.decode(data, len(values), self._threads)
        bits = f"u{values.itemsize}"
        if back is None or not np.array_equal(back.view(bits), values.view(bits)):
            raise VerifyError(
                f"{self._operation.target.location}/{self._key}: what is stored is not what was written. Check memory "
                f"and disks, then run again."
            )
        origin = self._block.number * values.shape[-1]
        return share_of_columns(back, self._block.columns, start=self._start, origin=origin)


def _stacks(epochs: Sequence[tuple[int, EpochGroup]]) -> Iterator[list[tuple[int, EpochGroup]]]:
    """Yield the epochs in runs of columns that follow each other, a few at a time."""
    run: list[tuple[int, EpochGroup]] = []
    for column, epoch in sorted(epochs, key=lambda pair: pair[0]):
        if run and (column != run[-1][0] + 1 or len(run) == STACKED):
            yield run
            run = []
        run.append((column, epoch))
    if run:
        yield run


def share_of_columns(values: NDArray[Any], columns: NDArray[np.int64], *, start: int, origin: int) -> Share:
    """Return the digest share of some epochs of a shard whose first object is ``start`` and first epoch ``origin``."""
    mask = np.zeros(values.shape[-1], dtype=bool)
    mask[columns] = True
    digest = _whole(values.dtype, values.ndim)
    total = Share.zero()
    for low, high in find_runs(mask) if values.size else ():
        middle = (0,) * (values.ndim - 2)
        total += digest.share(values[..., low:high], (start, *middle, origin + low))
    return total


def fill_share(field: Field, schema: Schema, *, objects: tuple[int, int], epochs: tuple[int, int]) -> Share:
    """Return the digest share of a region in which nothing is stored."""
    middle = (schema.n_measurements,) if field.per_measurement else ()
    if objects[0] >= objects[1] or epochs[0] >= epochs[1]:
        return Share.zero()
    start = (objects[0], *(0 for _ in middle), epochs[0])
    return _whole(field.type, len(start)).fill_share(field.fill_array, start, (objects[1], *middle, epochs[1]))


def lifted(share: Share, field: Field, *, axes: int, position: int) -> Share:
    """Return the digest share of an epoch's array as it is at a position along the last of ``axes`` axes.

    Weights of axes are multiplied, and that of index 0 is 1: so the share of one 1 at the position is its weight.
    """
    ones = np.ones((1,) * axes, dtype=f"u{field.type.itemsize}")
    weight = _whole(ones.dtype, axes).share(ones, (0,) * (axes - 1) + (position,))
    return Share(share.first * weight.first & _MASK, share.second * weight.second & _MASK)


def _whole(dtype: np.dtype[Any], axes: int) -> ArrayDigest:
    """Return a digest for regions of an array that grows."""
    return ArrayDigest((2**62,) * axes, dtype.name)
