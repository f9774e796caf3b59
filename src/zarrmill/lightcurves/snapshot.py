"""What can be read at one moment: the epochs of the object layout, and those that are not folded yet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import SourceFormatError
from zarrmill.keyspace import KeySpace
from zarrmill.lightcurves.epoch_groups import INDEX_DIGITS, EpochGroup, is_by_index, list_epochs, load_epoch
from zarrmill.lightcurves.epoch_table import FoldedEpochs, load_table
from zarrmill.lightcurves.parallel import gather, request_pool
from zarrmill.lightcurves.record import Record, load_record
from zarrmill.lightcurves.schema import Schema

Rows = slice | NDArray[np.int64]
"""Rows of a light curve, as a slice where they follow each other."""
TRIES = 10
"""Times that a snapshot is begun anew because the record changed meanwhile: each is one relayout or addition."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockPart:
    """What one block of epochs of the object layout contributes to a light curve."""

    number: int
    """Number of the block."""
    generation: int
    """Times that its shards had been replaced."""
    objects: int
    """Objects that there were then; those after them are in none of its chunks."""
    columns: Rows
    """Epochs of the block, counted from its start."""
    rows: Rows
    """Rows of the light curve that they are."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The epochs that can be read, in the order of the rows of a light curve.

    Those are in order of index or, where epochs are added by key, of time.
    """

    record: Record
    """What is folded."""
    by_index: bool
    """Whether epochs are addressed by index."""
    keys: NDArray[np.str_]
    """Name of the epoch of each row."""
    time: NDArray[np.float64]
    """Modified Julian date of each row."""
    index: NDArray[np.int64]
    """Index of the epoch of each row; its row where epochs are added by key."""
    blocks: tuple[BlockPart, ...]
    """Where folded rows are."""
    pending: tuple[tuple[int, EpochGroup], ...]
    """Row and epoch of those that are not folded."""

    @property
    def n_rows(self) -> int:
        """Number of rows of a light curve."""
        return len(self.time)


def take_snapshot(keys: KeySpace, schema: Schema) -> Snapshot:
    """Return what can be read now.

    The record is read before and after everything else: what it tells of is of one moment.
    """
    record = load_record(keys)
    for _ in range(TRIES):
        by_index = is_by_index(keys)
        table = load_table(keys, length=record.n_epochs, with_keys=not by_index)
        names = list_epochs(keys) - _folded_names(record, table, by_index)
        loads = (partial(load_epoch, keys, name) for name in sorted(names))
        found = [epoch for epoch in gather(request_pool(keys), loads) if epoch is not None]
        again = load_record(keys)
        if again.generation == record.generation:
            return arrange(record, table, found, schema, by_index=by_index)
        record = again
    raise SourceFormatError(f"{keys.location}: the record changed {TRIES} times while it was read. Try again.")


def folded_name(position: int, table: FoldedEpochs, by_index: bool) -> str:
    """Return the name of the epoch at a folded position."""
    return f"{position:0{INDEX_DIGITS}d}" if by_index else str(table.key[position])


def _folded_names(record: Record, table: FoldedEpochs, by_index: bool) -> set[str]:
    return {folded_name(int(i), table, by_index) for i in np.flatnonzero(record.mask())}


def arrange(
    record: Record, table: FoldedEpochs, pending: list[EpochGroup], schema: Schema, *, by_index: bool
) -> Snapshot:
    """Return the folded and the other epochs in the order of rows."""
    positions = np.flatnonzero(record.mask())
    names = np.array([folded_name(i, table, by_index) for i in positions.tolist()] + [e.name for e in pending], "U")
    time = np.concatenate([table.time[positions], np.array([epoch.time for epoch in pending], dtype=np.float64)])
    index = np.concatenate([positions, np.array([epoch.index or 0 for epoch in pending], dtype=np.int64)])
    order = np.argsort(index) if by_index else np.lexsort((names, time))
    row = np.empty(len(order), dtype=np.int64)
    row[order] = np.arange(len(order))
    return Snapshot(
        record=record,
        by_index=by_index,
        keys=names[order],
        time=time[order],
        index=index[order] if by_index else np.arange(len(order)),
        blocks=tuple(_block_parts(record, positions, row, schema.sizes.epoch_block)),
        pending=tuple((int(r), epoch) for r, epoch in zip(row[len(positions) :], pending, strict=True)),
    )


def _block_parts(record: Record, positions: NDArray[np.int64], row: NDArray[np.int64], length: int) -> list[BlockPart]:
    numbers = positions // length
    parts = []
    for number in np.unique(numbers).tolist():
        here = np.flatnonzero(numbers == number)
        columns, rows = positions[here] - number * length, row[here]
        block = record.block(number)
        parts.append(BlockPart(number, block.generation, block.objects, as_slice(columns), as_slice(rows)))
    return parts


def as_slice(indices: NDArray[np.int64]) -> Rows:
    """Return indices that follow each other as a slice, which is read without a copy.

    >>> as_slice(np.array([3, 4, 5]))
    slice(3, 6, None)
    """
    if len(indices) and (len(indices) == 1 or bool((np.diff(indices) == 1).all())):
        return slice(int(indices[0]), int(indices[-1]) + 1)
    return indices
