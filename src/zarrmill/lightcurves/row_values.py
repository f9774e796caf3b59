"""What the rows of a table measure, in the units of the store: values, errors, limits, flags and a status of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.columns import ColumnMap, fetch
from zarrmill.lightcurves.light_curve import Status, find_status
from zarrmill.lightcurves.nearest import find_nearest
from zarrmill.lightcurves.optional import load
from zarrmill.lightcurves.photometry import AB_ZERO_POINTS, Measurement, to_flux, to_magnitude
from zarrmill.lightcurves.presets import ValueNames
from zarrmill.lightcurves.tables import Column, Table

Floats = NDArray[np.float64]
UNKNOWN = -1
"""Measurement of a row whose band the store does not have."""
UNIT_NAMES = {
    "e-/s": "electron s-1", "electrons/s": "electron s-1", "e/s": "electron s-1", "counts": "ct", "count": "ct",
    "ADU": "adu", "magnitude": "mag", "mags": "mag",
}  # fmt: skip
"""How files write units that astropy writes otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class RowValues:
    """One measured value per item: an item is a row of the table and a measurement of the store."""

    row: NDArray[np.int64]
    """Row of the table."""
    measurement: NDArray[np.int64]
    """Measurement of the store."""
    value: Floats
    """Flux or magnitude, whatever the measurement is; NaN where there is none."""
    error: Floats
    """One standard deviation."""
    limit: Floats | None
    """Upper limit; None where the table has none."""
    flag: NDArray[Any] | None
    """Bits; None where the table has none."""
    status: NDArray[np.uint8]
    """``Status`` of the value."""
    absent_flags: int = 0
    """Flags that are masked, and became 0."""

    def take(self, items: Any) -> RowValues:
        """Return some items."""
        return RowValues(
            row=self.row[items],
            measurement=self.measurement[items],
            value=self.value[items],
            error=self.error[items],
            limit=None if self.limit is None else self.limit[items],
            flag=None if self.flag is None else self.flag[items],
            status=self.status[items],
            absent_flags=self.absent_flags,
        )

    @classmethod
    def join(cls, parts: Sequence[RowValues]) -> RowValues:
        """Return the items of several measurements."""
        absent_flags = sum(part.absent_flags for part in parts)
        parts = [part for part in parts if len(part.row)] or parts[:1]
        joined: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("row", "measurement", "value", "error", "status")
        }
        for name, absent in (("limit", np.nan), ("flag", 0)):
            known = [values for part in parts if (values := getattr(part, name)) is not None]
            dtype = np.result_type(*known) if known else None
            filled = [
                np.full(len(part.row), absent, dtype) if (values := getattr(part, name)) is None else values
                for part in parts
            ]
            joined[name] = np.concatenate(filled) if known else None
        return cls(**joined, absent_flags=absent_flags)


@dataclass(frozen=True, slots=True, eq=False)
class ValueReport:
    """What became of bands and units while values were read."""

    unknown_bands: dict[str, int]
    """Rows by a band that the store does not have."""
    unknown_rows: NDArray[np.int64]
    """Those rows."""
    notes: tuple[str, ...]
    """Conversions, and units that were taken for granted."""


def read_values(table: Table, columns: ColumnMap, measurements: Sequence[Measurement]) -> tuple[RowValues, ValueReport]:
    """Return every value of a table, and what became of its bands and units.

    Raises InvalidInputError where nothing tells the measurement of a row, or a unit cannot be converted.
    """
    parts: list[RowValues] = []
    bands: dict[str, int] = {}
    unknown: list[NDArray[np.int64]] = []
    notes: list[str] = []
    for names in columns.values:
        of_row = find_measurements(table, columns, names, measurements)
        lost = np.flatnonzero(of_row == UNKNOWN)
        if len(lost) and columns.band is not None:
            written, counts = np.unique(_as_text(fetch(table, columns.band))[lost], return_counts=True)
            bands |= dict(zip(written.tolist(), counts.tolist(), strict=True))
        unknown.append(lost)
        origin = _Origin(table, columns, names, notes)
        part = origin.read(of_row)
        parts.append(part.take(slice(0, 0)))
        parts += [origin.convert(part.take(part.measurement == i), m) for i, m in enumerate(measurements)]
    rows = np.unique(np.concatenate(unknown)) if unknown else np.empty(0, np.int64)
    return RowValues.join(parts), ValueReport(bands, rows, tuple(dict.fromkeys(notes)))


def find_measurements(
    table: Table, columns: ColumnMap, names: ValueNames, measurements: Sequence[Measurement]
) -> NDArray[np.int64]:
    """Return the measurement of the store that each row holds, UNKNOWN where the store does not have its band."""
    by_name = {m.name: i for i, m in enumerate(measurements)}
    if names.measurement:
        return np.full(len(table), by_name[names.measurement])
    if columns.band is None:
        if len(measurements) == 1:
            return np.zeros(len(table), dtype=np.int64)
        raise InvalidInputError(
            f"{table.name}: nothing tells which of the measurements {', '.join(by_name)} the values of {names.value!r} "
            f"are. Name a column of bands, or one band for all rows: {{'band': '=g'}}."
        )
    written, inverse = np.unique(_as_text(fetch(table, columns.band)), return_inverse=True)
    found = [_find_measurement(columns.bands.get(word, word), measurements) for word in written.tolist()]
    known = np.array(found, dtype=np.int64)
    if len(measurements) == 1 and columns.band.startswith("@") and (known == UNKNOWN).all():
        # A keyword such as FILTER or TELESCOP is no statement where there is nothing to choose from.
        return np.zeros(len(table), dtype=np.int64)
    return known[inverse]


def _find_measurement(word: str, measurements: Sequence[Measurement]) -> int:
    """Return the measurement of a name, or of a band that only one measurement has."""
    named = [i for i, m in enumerate(measurements) if m.name == word]
    of_band = [i for i, m in enumerate(measurements) if m.band == word]
    return named[0] if named else of_band[0] if len(of_band) == 1 else UNKNOWN


def say_unknown_bands(bands: dict[str, int], measurements: Sequence[Measurement]) -> tuple[str, ...]:
    """Return a line per unknown band with the nearest known ones."""
    known = list(dict.fromkeys(word for m in measurements for word in (m.name, m.band)))
    lines = []
    for band, rows in sorted(bands.items()):
        near = find_nearest(band, known) or tuple(known)
        lines.append(
            f"{rows} rows of band {band!r}, which the store does not have. Nearest: {', '.join(map(str, near))}"
        )
    return tuple(lines)


def _as_text(column: Column) -> NDArray[Any]:
    """Return bands as text: 1.0, as pandas writes whole numbers beside missing ones, is 1."""
    values = column.values
    if values.dtype.kind == "f" and np.isfinite(values).all() and (values == np.floor(values)).all():
        values = values.astype(np.int64)
    return np.char.strip(values.astype("U"))


def _numbers(table: Table, name: str) -> Floats:
    column = fetch(table, name)
    if column.values.dtype.kind not in "fiub" or column.values.ndim != 1:
        raise InvalidInputError(
            f"{table.name}: column {name!r} is {column.values.dtype} of shape {column.values.shape}. Name a column of "
            f"numbers, or an element of a vector: {name}[0]."
        )
    return np.where(column.absent, np.nan, column.values.astype(np.float64))


def _is_one_of(values: Floats, sentinels: Sequence[float]) -> NDArray[np.bool_]:
    """Return where values are one of those that stand for none, also where they were stored in single precision."""
    found = np.zeros(len(values), dtype=bool)
    for sentinel in sentinels:
        found |= (values == sentinel) | (values == float(np.float32(sentinel)))
    return found


def _read_flags(table: Table, names: Sequence[str]) -> tuple[NDArray[Any] | None, int]:
    """Return flags as whole numbers: one column as it is, several as a bit each; masked ones are 0 and counted."""
    if not names:
        return None, 0
    columns = [fetch(table, name) for name in names]
    absent = sum(int(column.absent.sum()) for column in columns)
    if len(columns) > 1:
        bits = [(np.where(c.absent, 0, c.values).astype(bool)).astype(np.int64) << i for i, c in enumerate(columns)]
        return np.asarray(np.bitwise_or.reduce(bits)), absent
    values = np.where(columns[0].absent, 0, columns[0].values)
    if values.dtype.kind not in "iubf" or (values.dtype.kind == "f" and (values != np.floor(values)).any()):
        raise InvalidInputError(
            f"{table.name}: column {names[0]!r} is {values.dtype}, flags are whole numbers. Name another column."
        )
    return values.astype(np.int64) if values.dtype.kind in "bf" else values, absent


@dataclass(frozen=True, slots=True, eq=False)
class _Origin:
    """Where values come from, for their units and for messages."""

    table: Table
    columns: ColumnMap
    names: ValueNames
    notes: list[str]

    @property
    def unit(self) -> str:
        """Unit that is said, that of the column, or what its preset knows."""
        told = self.columns.unit or fetch(self.table, self.names.value).unit or self.names.unit
        return UNIT_NAMES.get(told, told)

    @property
    def zero_point(self) -> float | None:
        """Magnitude of a flux of one unit, where it is known."""
        return AB_ZERO_POINTS.get(self.unit) if self.columns.zero_point is None else self.columns.zero_point

    def read(self, of_row: NDArray[np.int64]) -> RowValues:
        """Return the values as the table has them, without rows of unknown bands."""
        rows = np.flatnonzero(of_row != UNKNOWN)
        names, columns = self.names, self.columns
        none = columns.not_detected + columns.missing
        raw = _numbers(self.table, names.value)[rows]
        value = np.where(_is_one_of(raw, none), np.nan, raw)
        error = _numbers(self.table, names.error[0])[rows] if names.error else np.full(len(rows), np.nan)
        error = np.where(_is_one_of(error, none) | np.isnan(value), np.nan, error)
        limit = _numbers(self.table, names.limit[0])[rows] if names.limit else None
        limit = None if limit is None else np.where(_is_one_of(limit, none), np.nan, limit)
        status = find_status(value, limit)
        status[_is_one_of(raw, columns.not_detected)] = Status.NOT_DETECTED
        flag, absent = _read_flags(self.table, names.flag)
        flag = None if flag is None else flag[rows]
        return RowValues(rows, of_row[rows], value, error, limit, flag, status, absent)

    def convert(self, part: RowValues, m: Measurement) -> RowValues:
        """Return items of one measurement in its kind and unit."""
        if not len(part.row):
            return replace(part, absent_flags=0)
        if self.names.kind != m.kind:
            return self._change_kind(part, m)
        factor = self._find_factor(m) if m.kind == "flux" else 1.0
        limit = None if part.limit is None else part.limit * factor
        return replace(part, value=part.value * factor, error=part.error * factor, limit=limit, absent_flags=0)

    def _change_kind(self, part: RowValues, m: Measurement) -> RowValues:
        change = to_flux if m.kind == "flux" else to_magnitude
        # The zero point is that of the fluxes, on whichever side they are.
        ours = m.kind == "flux" or self.zero_point is None
        zero_point = m.find_zero_point() if ours else float(self.zero_point or 0)
        value, error = change(part.value, part.error, zero_point=zero_point)
        limit = None if part.limit is None else change(part.limit, part.limit, zero_point=zero_point)[0]
        lost = (part.status == Status.DETECTED) & np.isnan(value)
        status = np.where(lost, np.uint8(Status.NOT_DETECTED), part.status)
        self.notes.append(f"{self.names.value!r} became {m.kind} of {m.name!r} with the zero point {zero_point:g}")
        return replace(part, value=value, error=error, limit=limit, status=status, absent_flags=0)

    def _find_factor(self, m: Measurement) -> float:
        """Return what fluxes of the table are multiplied by to be in the unit of the store."""
        wanted = UNIT_NAMES.get(m.unit, m.unit)
        calibrated = m.zero_point is not None or m.unit in AB_ZERO_POINTS
        if self.columns.zero_point is not None and calibrated:
            return self._scale(self.columns.zero_point, m)
        if not self.unit or not wanted or self.unit == wanted:
            if wanted and not self.unit:
                self.notes.append(f"{self.names.value!r} has no unit: taken to be {wanted}")
            return 1.0
        units = load("astropy.units")
        try:
            factor = float(units.Unit(self.unit).to(units.Unit(wanted)))
        except (ValueError, units.UnitsError):
            if self.zero_point is not None and calibrated:
                return self._scale(self.zero_point, m)
            raise InvalidInputError(
                f"{self.table.name}: column {self.names.value!r} is in {self.unit!r}, measurement {m.name!r} in "
                f"{m.unit!r}, and no factor is known. Set zero_point (--zero-point), or unit (--unit) where the "
                f"table is wrong."
            ) from None
        if factor != 1:
            self.notes.append(f"{self.names.value!r} converted from {self.unit} to {wanted}")
        return factor

    def _scale(self, theirs: float, m: Measurement) -> float:
        ours = m.find_zero_point()
        self.notes.append(f"{self.names.value!r} scaled from the zero point {theirs:g} to {ours:g} of {m.name!r}")
        return float(10 ** ((ours - theirs) / 2.5))
