"""The table of the epochs that are folded: key, time and digest by position along the axis of epochs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import SourceFormatError
from zarrmill.keyspace import KeySpace
from zarrmill.lightcurves.epoch_groups import EpochGroup
from zarrmill.lightcurves.schema import TIME_UNITS, encode, group_document
from zarrmill.lightcurves.stored_column import (
    ColumnPlan,
    StoredColumn,
    create_column,
    open_column,
    put_document,
    resized,
)

GROUP = "epochs"
NAMES = ("key", "time", "digest")
ROWS = (4096, 262_144)
"""Rows in one chunk, least and most."""


@dataclass(frozen=True, slots=True, eq=False)
class FoldedEpochs:
    """The columns of the table, one row per position; those of positions that are not folded mean nothing."""

    key: NDArray[Any]
    """Name of the epoch."""
    time: NDArray[np.float64]
    """Modified Julian date; NaN where nobody told."""
    digest: NDArray[np.uint64]
    """Digest of the content that was folded."""

    def with_epochs(self, epochs: Iterable[tuple[int, EpochGroup]], *, length: int) -> FoldedEpochs:
        """Return the table with epochs at their positions, and of this length."""
        more = max(0, length - len(self.time))
        key = np.concatenate([self.key, np.full(more, "", dtype=object)])
        time = np.concatenate([self.time, np.full(more, np.nan)])
        digest = np.concatenate([self.digest, np.zeros(more, dtype=np.uint64)])
        for position, epoch in epochs:
            key[position], time[position], digest[position] = epoch.name, epoch.time, int(epoch.digest, 16)
        return FoldedEpochs(key, time, digest)


def create_table(keys: KeySpace, *, length: int, time_scale: str) -> None:
    """Write the table of a new store, without any epoch."""
    rows = min(ROWS[1], max(ROWS[0], 1 << max(0, length - 1).bit_length()))
    time = {"long_name": "time of the epoch", "units": TIME_UNITS, "calendar": "proleptic_gregorian"}
    said = {
        "key": {"long_name": "name of the epoch"},
        "time": {**time, "time_scale": time_scale},
        "digest": {"long_name": "digest of the content"},
    }
    values = {"key": np.full(length, "", dtype="U1"), "time": np.full(length, np.nan), "digest": np.zeros(length, "u8")}
    for name in NAMES:
        create_column(keys, f"{GROUP}/{name}", values[name], plan=ColumnPlan(rows, ("epoch",), said[name]))
    keys.put(f"{GROUP}/zarr.json", encode(group_document({"long_name": "epochs of the object layout"})))


def load_table(keys: KeySpace, *, length: int, with_keys: bool = True) -> FoldedEpochs:
    """Return the first ``length`` rows, the keys as "" unless they are wanted. Raises SourceFormatError."""
    key = np.full(length, "", dtype=object)
    if with_keys:
        key = _column(keys, "key").read(0, length)
    return FoldedEpochs(key, _column(keys, "time").read(0, length), _column(keys, "digest").read(0, length))


def put_table(keys: KeySpace, table: FoldedEpochs) -> None:
    """Write the table; what a record does not tell of is seen by nobody."""
    for name in NAMES:
        column, values = _column(keys, name), getattr(table, name)
        if column.shape[0] < len(values):
            column = resized(column, len(values))
            column.write(0, values)
            put_document(column)
        else:
            column.write(0, values)


def _column(keys: KeySpace, name: str) -> StoredColumn:
    column = open_column(keys, f"{GROUP}/{name}")
    if column is None:
        raise SourceFormatError(f"{keys.location}/{GROUP}/{name} is lost. Restore it from a copy.")
    return column
