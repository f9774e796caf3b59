"""The epoch and the object of each row of a table, and what became of rows that have none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.lightcurves.columns import ColumnMap, fetch
from zarrmill.lightcurves.keys import KeyMatcher, plain_keys
from zarrmill.lightcurves.match import NONE
from zarrmill.lightcurves.row_values import RowValues
from zarrmill.lightcurves.sky_match import SkyMatcher
from zarrmill.lightcurves.tables import Column, Table

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]
DEGREES = {"rad": 180 / np.pi, "hourangle": 15.0, "h": 15.0, "hour": 15.0, "arcsec": 1 / 3600, "arcmin": 1 / 60}
"""Degrees of units in which positions may come."""


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Rows by epoch."""

    of_row: Indices
    """Epoch of each row, in order of time; -1 where nothing tells it."""
    names: tuple[int | str | None, ...]
    """What the table calls each epoch; None where no column tells."""

    @property
    def lost(self) -> Indices:
        """Rows without an epoch."""
        return np.flatnonzero(self.of_row == NONE)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A table about to be matched."""

    table: Table
    """The table."""
    columns: ColumnMap
    """Which column is what."""
    values: RowValues
    """Its items: a row and a measurement each."""
    groups: Groups
    """Its epochs."""

    @property
    def group(self) -> Indices:
        """Epoch of each item."""
        return self.groups.of_row[self.values.row]


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """Objects of items, and rows that have none."""

    objects: Indices
    """Object of each item, -1 where there is none."""
    fates: dict[str, Indices]
    """Rows by what became of them; a row may have several fates."""


def group_all(rows: int) -> Groups:
    """Return all rows as one epoch."""
    return Groups(np.zeros(rows, dtype=np.int64), (None,))


def group_by_name(column: Column, times: Floats) -> Groups:
    """Return the rows of each name as an epoch, in order of the first times; epochs without times come last.

    >>> group_by_name(Column(np.array([7, 5, 7])), np.array([1.0, 3.0, 2.0])).names
    (7, 5)
    """
    absent = column.absent
    written, inverse = np.unique(column.values[~absent], return_inverse=True)
    first = np.full(len(written), np.inf)
    np.minimum.at(first, inverse, np.where(np.isfinite(times[~absent]), times[~absent], np.inf))
    order = np.lexsort((np.arange(len(written)), first))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    of_row = np.full(len(absent), NONE, dtype=np.int64)
    of_row[~absent] = rank[inverse]
    return Groups(of_row, tuple(_plain_name(name) for name in written[order].tolist()))


def _plain_name(name: Any) -> int | str:
    whole = isinstance(name, float) and name.is_integer()
    return int(name) if whole or isinstance(name, int) else str(name)


def group_by_time(times: Floats, tolerance: float) -> Groups:
    """Return rows as epochs that are more than ``tolerance`` days apart.

    >>> group_by_time(np.array([2.0, 1.0, 1.1, np.nan]), 0.5).of_row.tolist()
    [1, 0, 0, -1]
    """
    known = np.flatnonzero(np.isfinite(times))
    order = known[np.argsort(times[known], kind="stable")]
    of_row = np.full(len(times), NONE, dtype=np.int64)
    if len(order):
        of_row[order] = np.cumsum(np.diff(times[order], prepend=times[order[0]]) > tolerance)
    return Groups(of_row, (None,) * (int(of_row.max(initial=NONE)) + 1))


def match_by_key(rows: Rows, matcher: KeyMatcher) -> Matched:
    """Return the object of each item by the key of its row; rows whose key is masked or empty have none."""
    column = fetch(rows.table, rows.columns.key or "")
    absent = column.absent | (column.values == "") if column.values.dtype.kind == "U" else column.absent
    found = np.full(len(rows.table), NONE, dtype=np.int64)
    keys = plain_keys(column.values[~absent], where=rows.table.name)
    found[~absent] = matcher.find(keys, where=rows.table.name)
    fates = {"without_key": np.flatnonzero(absent), "unmatched": np.flatnonzero(~absent & (found == NONE))}
    return Matched(found[rows.values.row], fates)


def match_by_sky(rows: Rows, matcher: SkyMatcher) -> Matched:
    """Return the object of each item by position, one to one within an epoch and a measurement."""
    ra, dec = find_places(rows.table, rows.columns)
    lost = ~(np.isfinite(ra) & np.isfinite(dec))
    values, group = rows.values, rows.group
    items = np.flatnonzero((group != NONE) & ~lost[values.row])
    contest = group[items] * (int(values.measurement.max(initial=0)) + 1) + values.measurement[items]
    of_item = values.row[items]
    match = matcher.match(ra[of_item], dec[of_item], group=contest, where=rows.table.name)
    found = np.full(len(values.row), NONE, dtype=np.int64)
    found[items] = match.objects
    fates = {fate: np.unique(of_item[getattr(match, fate)]) for fate in ("unmatched", "duplicate", "ambiguous")}
    return Matched(found, {"without_position": np.flatnonzero(lost), **fates})


def find_places(table: Table, columns: ColumnMap) -> tuple[Floats, Floats]:
    """Return right ascensions and declinations in degrees, NaN where a row has none."""
    ra, dec = (_degrees(fetch(table, name or "")) for name in (columns.ra, columns.dec))
    return ra, dec


def _degrees(column: Column) -> Floats:
    degrees: Floats = np.where(column.absent, np.nan, column.values.astype(np.float64))
    return degrees * DEGREES.get(column.unit, 1.0)


def drop_repeats(rows: Rows, matched: Matched) -> Matched:
    """Return objects such that of several items of one object, epoch and measurement the first has it."""
    values, group = rows.values, rows.group
    usable = np.flatnonzero((matched.objects != NONE) & (group != NONE))
    keys = (values.measurement[usable], matched.objects[usable], group[usable])
    order = usable[np.lexsort((usable, *keys))]
    same = np.ones(len(order), dtype=bool)
    for array in (values.measurement, matched.objects, group):
        same &= np.diff(array[order], prepend=NONE) == 0
    objects = np.full(len(matched.objects), NONE, dtype=np.int64)
    objects[order[~same]] = matched.objects[order[~same]]
    before = matched.fates.get("duplicate", np.empty(0, np.int64))
    return Matched(objects, {**matched.fates, "duplicate": np.union1d(before, values.row[order[same]])})
