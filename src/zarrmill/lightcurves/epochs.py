"""Tables as epochs: rows grouped by exposure, matched with objects, and spread over the measurements of the store.

A table may be the catalogue of one epoch or hold rows of many objects at many epochs. Nothing is dropped in silence:
the report counts and names every row that does not end up in an epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.columns import ColumnMap, ColumnRequest, fetch, resolve_columns
from zarrmill.lightcurves.ingest_report import FATES, IngestReport, name_rows
from zarrmill.lightcurves.keys import KeyMatcher
from zarrmill.lightcurves.light_curve import ERROR, FLAG, FLUX, LIMIT, Status
from zarrmill.lightcurves.match import NONE
from zarrmill.lightcurves.optional import load
from zarrmill.lightcurves.photometry import Measurement
from zarrmill.lightcurves.row_matching import (
    Groups,
    Matched,
    Rows,
    drop_repeats,
    find_places,
    group_all,
    group_by_name,
    group_by_time,
    match_by_key,
    match_by_sky,
)
from zarrmill.lightcurves.row_values import RowValues, ValueReport, read_values, say_unknown_bands
from zarrmill.lightcurves.sky_match import SkyMatcher
from zarrmill.lightcurves.tables import Table

ARCSECOND = 1 / 3600
DAY = 86_400.0
"""Seconds."""
LEAST_OFFSET = 1e-3
"""Seconds by which times within an epoch may differ and still be one time."""
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How rows find their objects and epochs."""

    columns: ColumnRequest = field(default_factory=ColumnRequest)
    """Which column is what."""
    match: Literal["auto", "key", "sky"] = "auto"
    """By key, by sky position, or by key where the table has one."""
    max_separation: float = 1.0
    """Arcseconds between a row and its object at the most."""
    tolerance: float = 0.0
    """Days between two rows of one epoch at the most, where no column tells the epoch."""
    single: bool = False
    """Whether the whole table is one epoch, whatever its columns say."""


@dataclass(frozen=True, slots=True, eq=False)
class EpochTarget:
    """The objects and measurements that rows are to be matched with."""

    keys: NDArray[Any]
    """Key of each object."""
    measurements: tuple[Measurement, ...]
    """Measurements of the store."""
    ra: NDArray[np.float64] | None = None
    """Right ascension of each object in degrees; None where the store has no positions."""
    dec: NDArray[np.float64] | None = None
    """Declination of each object in degrees."""
    time_scale: str = "utc"
    """Scale of the times of the store."""
    matchers: dict[Any, Any] = field(default_factory=dict)
    """What was built for one table and serves the next."""

    def by_key(self) -> KeyMatcher:
        """Return the matcher by key, built once."""
        if "key" not in self.matchers:
            self.matchers["key"] = KeyMatcher.build(self.keys)
        matcher: KeyMatcher = self.matchers["key"]
        return matcher

    def by_sky(self, max_separation: float) -> SkyMatcher:
        """Return the matcher by position for a separation in arcseconds, built once."""
        if self.ra is None or self.dec is None:
            raise InvalidInputError("the store has no positions to match rows with. Name a column of keys.")
        if max_separation not in self.matchers:
            built = SkyMatcher.build(self.ra, self.dec, max_separation=max_separation * ARCSECOND)
            self.matchers[max_separation] = built
        matcher: SkyMatcher = self.matchers[max_separation]
        return matcher


@dataclass(frozen=True, slots=True, eq=False)
class Epoch:
    """One epoch as ``populate_epoch`` takes it."""

    name: int | str | None
    """What the table calls it; None where no column tells."""
    time: float
    """Modified Julian date in the scale of the store, the median of its rows; NaN where the table tells none."""
    arrays: dict[str, NDArray[Any]]
    """Keys of the objects as "object"; flux, flux_err, status, and where there are any flag and limit."""
    time_offset: NDArray[np.float64] | None
    """Seconds between ``time`` and that of each row; None where all rows have one time."""


@dataclass(frozen=True, slots=True, eq=False)
class EpochPlan:
    """The epochs of a table, made one by one, and the fate of every row."""

    report: IngestReport
    """What became of the rows."""
    target: EpochTarget
    """Objects and measurements."""
    values: RowValues
    """Items that end up in an epoch, sorted by epoch and object."""
    objects: Indices
    """Object of each item."""
    start: Indices
    """First item of each epoch, and the number of items."""
    names: tuple[int | str | None, ...]
    """Name of each epoch."""
    times: NDArray[np.float64]
    """Time of each row of the table."""

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Epoch]:
        return (self._make(i) for i in range(len(self)))

    def _make(self, i: int) -> Epoch:
        items = slice(int(self.start[i]), int(self.start[i + 1]))
        objects, first, place = np.unique(self.objects[items], return_index=True, return_inverse=True)
        at = (place, self.values.measurement[items])
        shape = (len(objects), len(self.target.measurements))
        empty: tuple[tuple[str, Any, Any], ...] = (
            (FLUX, self.values.value, np.nan),
            (ERROR, self.values.error, np.nan),
            (LIMIT, self.values.limit, np.nan),
            (FLAG, self.values.flag, 0),
            ("status", self.values.status, Status.NOT_OBSERVED),
        )
        arrays = {"object": self.target.keys[objects]}
        for name, values, fill in empty:
            if values is not None:
                arrays[name] = np.full(shape, fill, dtype=values.dtype)
                arrays[name][at] = values[items]
        times = self.times[self.values.row[items]]
        time = float(np.median(times)) if len(times) else float("nan")
        offset = (times[first] - time) * DAY
        return Epoch(self.names[i], time, arrays, offset if (np.abs(offset) > LEAST_OFFSET).any() else None)


def plan_epochs(table: Table, target: EpochTarget, options: IngestOptions = IngestOptions()) -> EpochPlan:
    """Return the epochs of a table in order of time, and the report on its rows.

    Raises InvalidInputError and UnknownNameError for columns, bands, units and positions that make no sense.
    """
    names = tuple(m.name for m in target.measurements)
    columns = resolve_columns(table, options.columns, kind=target.measurements[0].kind, measurements=names)
    values, bands = read_values(table, columns, target.measurements)
    times = _read_times(table, columns, target)
    rows = Rows(table, columns, values, _group(table, columns, times, options))
    by_key = _is_by_key(table, columns, options)
    matched = drop_repeats(
        rows,
        match_by_key(rows, target.by_key()) if by_key else match_by_sky(rows, target.by_sky(options.max_separation)),
    )
    items = np.flatnonzero(matched.objects != NONE)
    order = items[np.lexsort((matched.objects[items], rows.group[items]))]
    kept, groups = values.take(order), rows.group[order]
    start = np.append(np.flatnonzero(np.diff(groups, prepend=NONE)), len(groups)).astype(np.int64)
    made = tuple(rows.groups.names[g] for g in groups[start[:-1]].tolist())
    report = _make_report(rows, matched, kept=kept, bands=bands, target=target, epochs=len(made))
    return EpochPlan(report, target, kept, matched.objects[order], start, made, times)


def _read_times(table: Table, columns: ColumnMap, target: EpochTarget) -> NDArray[np.float64]:
    """Return the time of each row in the scale of the store, NaN where there is none."""
    if columns.time is None:
        return np.full(len(table), np.nan)
    column = fetch(table, columns.time)
    if column.values.dtype.kind not in "fiu":
        raise InvalidInputError(
            f"{table.name}: times {columns.time!r} are {column.values.dtype}. Name a column of days."
        )
    mjd: NDArray[np.float64] = np.where(column.absent, np.nan, column.values.astype(np.float64)) + columns.time_zero
    if columns.time_scale == target.time_scale or not np.isfinite(mjd).any():
        return mjd
    known = np.isfinite(mjd)
    times = load("astropy.time").Time(mjd[known], format="mjd", scale=columns.time_scale)
    mjd[known] = getattr(times, target.time_scale).mjd
    return mjd


def _group(table: Table, columns: ColumnMap, times: NDArray[np.float64], options: IngestOptions) -> Groups:
    if options.single or (columns.epoch is None and columns.time is None):
        return group_all(len(table))
    if columns.epoch is not None:
        return group_by_name(fetch(table, columns.epoch), times)
    return group_by_time(times, options.tolerance)


def _is_by_key(table: Table, columns: ColumnMap, options: IngestOptions) -> bool:
    """Return whether rows are matched by key; raises InvalidInputError where they cannot be matched as asked."""
    if options.match not in ("auto", "key", "sky"):
        raise InvalidInputError(f"match {options.match!r} is not known. Match by key or sky, or leave it auto.")
    if options.match != "sky" and columns.key is not None:
        return True
    if options.match == "key":
        raise InvalidInputError(f"{table.name}: no column of keys is known. Name one by columns: {{'key': NAME}}.")
    if columns.ra is None:
        raise InvalidInputError(
            f"{table.name}: neither keys nor positions are known (preset {columns.preset!r}). Name a column of keys, "
            f"which must be those of the store, or ra and dec. Its columns are {', '.join(table.columns)}."
        )
    return False


def _make_report(
    rows: Rows, matched: Matched, *, kept: RowValues, bands: ValueReport, target: EpochTarget, epochs: int
) -> IngestReport:
    columns = rows.columns
    by_key = "without_key" in matched.fates
    roles = {role: getattr(columns, role) for role in ("key", "ra", "dec", "time", "epoch", "band")}
    told = {f"{v.kind} of {v.measurement}" if v.measurement else v.kind: v.value for v in columns.values}
    fates = {"unknown_band": bands.unknown_rows, "without_time": rows.groups.lost, **matched.fates}
    names = fetch(rows.table, columns.key).values if by_key and columns.key else _say_places(rows.table, columns)
    statuses = {s.name.lower(): int((kept.status == s).sum()) for s in Status if s != Status.NOT_INGESTED}
    return IngestReport(
        rows.table.name,
        rows=len(rows.table),
        matched=len(np.unique(kept.row)),
        epochs=epochs,
        match="key" if by_key else "sky",
        preset=columns.preset,
        columns={role: name for role, name in {**roles, **told}.items() if name is not None},
        fates={fate: name_rows(lost, names) for fate, lost in _settle(fates, np.unique(kept.row)).items() if len(lost)},
        values={**statuses, "masked_flags": rows.values.absent_flags},
        notes=(
            *columns.notes,
            *bands.notes,
            *say_unknown_bands(bands.unknown_bands, target.measurements),
            *rows.table.notes,
        ),
    )


def _settle(fates: dict[str, Indices], matched: Indices) -> dict[str, Indices]:
    """Return fates such that a row that is not matched has one: of several the first in the order of ``FATES``."""
    settled, done = {}, matched
    for fate in FATES:
        lost = fates.get(fate, np.empty(0, np.int64))
        settled[fate] = np.intersect1d(lost, matched) if fate == "ambiguous" else np.setdiff1d(lost, done)
        done = done if fate == "ambiguous" else np.union1d(done, lost)
    return settled


def _say_places(table: Table, columns: ColumnMap) -> NDArray[Any] | None:
    if columns.ra is None or columns.dec is None:
        return None
    ra, dec = find_places(table, columns)
    return np.array([f"{a:.5f} {d:+.5f}" for a, d in zip(ra.tolist(), dec.tolist(), strict=True)], dtype=object)
