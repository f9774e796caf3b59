"""What comes in as one epoch, as checked arrays of the store's types over all objects."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.digest import ArrayDigest, Share
from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.catalogue import DEC, KEY_NAMES, RA
from zarrmill.lightcurves.light_curve import ERROR, FLUX, LIMIT, Status, find_status
from zarrmill.lightcurves.nearest import unknown_name
from zarrmill.lightcurves.optional import load
from zarrmill.lightcurves.schema import OFFSET, STATUS, Field, Schema

TIME = "time"
"""Column of the time of the epoch, for all rows the same."""
MAGNITUDE_NAMES = {"mag": FLUX, "mag_err": ERROR, "magnitude": FLUX, "magnitude_err": ERROR}
"""Other names of the arrays where all measurements are magnitudes."""
EXACT_INTEGERS = {2: 2**11, 4: 2**24, 8: 2**53}
"""Largest whole number up to which all are exact, by bytes of the floating-point type."""


@dataclass(frozen=True, slots=True, eq=False)
class EpochRows:
    """The columns of an epoch as they came, before they are spread over the objects."""

    keys: NDArray[Any] | None
    """Key of the object of each row; None where the rows are all objects in the order of the store."""
    columns: dict[str, Any]
    """Values by the name of the store's array."""
    positions: dict[str, Any]
    """Columns ra and dec where they are there: where an object is that is not known yet."""
    time: Any
    """Time of the epoch where the columns tell it, else None."""


@dataclass(frozen=True, slots=True, eq=False)
class EpochValues:
    """One epoch over all objects."""

    arrays: dict[str, NDArray[Any]]
    """Values by array, as they are stored: (object, measurement), or (object,)."""
    time: float
    """Modified Julian date; NaN where nobody told."""

    @property
    def rows(self) -> int:
        """Number of objects."""
        return len(self.arrays[FLUX])

    def shares(self) -> dict[str, Share]:
        """Return the digest share of each array."""
        return {name: epoch_share(values) for name, values in self.arrays.items()}


def epoch_share(values: NDArray[Any]) -> Share:
    """Return the digest share of one array of an epoch, as that of the first epoch of a cube."""
    cube = values[..., None]
    return ArrayDigest(cube.shape, cube.dtype.name).share(cube, (0,) * cube.ndim)


def content_digest(values: EpochValues, shares: Mapping[str, Share]) -> str:
    """Return what tells the content of an epoch from any other, as 16 hexadecimal digits."""
    said = {name: [share.to_json(), str(values.arrays[name].dtype)] for name, share in shares.items()}
    text = json.dumps([values.rows, None if math.isnan(values.time) else values.time, said], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def read_rows(data: Any, schema: Schema, *, where: str) -> EpochRows:
    """Return the columns of a mapping, an astropy Table or a DataFrame under the names of the store's arrays.

    Raises UnknownNameError, with the nearest name, for a column that means nothing to the store.
    """
    names = getattr(data, "colnames", None)
    if names is None:
        names = list(data.keys()) if hasattr(data, "keys") else None
    if names is None:
        raise InvalidInputError(f"{where}: {type(data).__name__} is no table. Give a dict of arrays or a Table.")
    aliases = MAGNITUDE_NAMES if {m.kind for m in schema.measurements} == {"magnitude"} else {}
    keys, time = None, None
    columns: dict[str, Any] = {}
    positions: dict[str, Any] = {}
    for name in names:
        known = aliases.get(name, name)
        if known in schema.field_names:
            columns[known] = data[name]
        elif name == TIME:
            time = _one_time(data[name], where=where)
        elif str(name).lower() in KEY_NAMES:
            keys = _keys_of(data[name])
        elif str(name).lower() in (RA, DEC):
            positions[str(name).lower()] = data[name]
        else:
            raise unknown_name(name, [*schema.field_names, TIME, "object"], what="array", where=where)
    if FLUX not in columns:
        raise InvalidInputError(f"{where}: there is no {FLUX!r}. It has the columns {list(names)}.")
    return EpochRows(keys, columns, positions, time)


def _keys_of(values: Any) -> NDArray[Any]:
    keys = np.asarray(values).reshape(-1)
    return np.array(keys.tolist()) if keys.dtype.kind == "O" else keys


def _one_time(values: Any, *, where: str) -> Any:
    """Return the one time that a column holds."""
    if not np.ndim(getattr(values, "mjd", values)):
        return values
    mjd = np.asarray(getattr(values, "mjd", values), dtype=np.float64).reshape(-1)
    if not len(mjd) or (mjd != mjd[0]).any():
        raise InvalidInputError(
            f"{where}: time differs from row to row. Give the time of the epoch, and {OFFSET} in seconds per object."
        )
    return values[0]


def spread(rows: EpochRows, positions: NDArray[np.int64] | None, schema: Schema, *, count: int) -> EpochValues:
    """Return an epoch over ``count`` objects, those that have no row as not observed.

    ``positions`` are the objects of the rows, None for all in order. Raises InvalidInputError that names the field.
    """
    n_rows = count if positions is None else len(positions)
    arrays = {field.name: _checked(rows.columns.get(field.name), field, schema, rows=n_rows) for field in schema.fields}
    given = arrays[STATUS] if STATUS in rows.columns else find_status(arrays[FLUX], arrays.get(LIMIT))
    arrays[STATUS] = _check_status(given)
    if positions is not None:
        for field in schema.fields:
            whole = _filled(field, schema, rows=count)
            whole[positions] = arrays[field.name]
            arrays[field.name] = whole
    return EpochValues(arrays, float("nan"))


def _filled(field: Field, schema: Schema, *, rows: int) -> NDArray[Any]:
    shape = (rows, schema.n_measurements) if field.per_measurement else (rows,)
    fill = Status.NOT_OBSERVED.value if field.name == STATUS else field.fill
    return np.full(shape, fill, dtype=field.type)


def _checked(values: Any, field: Field, schema: Schema, *, rows: int) -> NDArray[Any]:
    """Return the values of a field in its type and shape."""
    if values is None:
        return _filled(field, schema, rows=rows)
    if isinstance(values, Mapping):
        values = _by_measurement(values, field, schema, rows=rows)
    array = _in_type(_plain(values, field, schema), field)
    wanted = (rows, schema.n_measurements) if field.per_measurement else (rows,)
    if array.shape == (rows,) and wanted == (rows, 1):
        return array[:, None]
    if array.shape != wanted:
        axes = "(object, measurement)" if field.per_measurement else "(object,)"
        raise InvalidInputError(f"{field.name} has the shape {array.shape}, the store takes {wanted} {axes}.")
    return array


def _by_measurement(values: Mapping[str, Any], field: Field, schema: Schema, *, rows: int) -> NDArray[Any]:
    """Return columns that are given by name of the measurement side by side; those not given stay empty."""
    names = [m.name for m in schema.measurements]
    whole = _filled(field, schema, rows=rows)
    for name, column in values.items():
        if name not in names:
            raise unknown_name(name, names, what="measurement", where=field.name)
        array = _in_type(_plain(column, field, schema), field)
        if array.shape != (rows,):
            raise InvalidInputError(f"{field.name} of {name} has the shape {array.shape}, there are {rows} rows.")
        whole[:, names.index(name)] = array
    return whole


def _plain(values: Any, field: Field, schema: Schema) -> NDArray[Any]:
    """Return values without units and masks: in the unit of the field, masked ones as its fill value."""
    mask = getattr(values, "mask", None)
    plain = np.asarray(np.ma.getdata(getattr(values, "unmasked", values)))
    unit = getattr(values, "unit", None)
    if unit is not None and str(unit) and field.name in (FLUX, ERROR, LIMIT, OFFSET):
        plain = _in_unit(plain, unit, field, schema)
    if mask is None or not np.any(mask):
        return plain
    if plain.dtype.kind in "iu" and field.type.kind == "f":
        plain = _in_type(plain, field)
    return np.where(mask, np.array(field.fill, dtype=plain.dtype), plain)


def _in_unit(values: NDArray[Any], unit: Any, field: Field, schema: Schema) -> NDArray[Any]:
    """Return values with a unit of astropy's in that of the store, where all measurements share one."""
    units = {"s"} if field.name == OFFSET else {m.unit for m in schema.measurements}
    wanted = next(iter(units)) if len(units) == 1 else ""
    if not wanted or str(unit) == wanted:
        return values
    try:
        return np.asarray(load("astropy.units").Quantity(values, unit).to_value(wanted))
    except load("astropy.units").UnitsError as error:
        raise InvalidInputError(f"{field.name} is in {unit}, the store in {wanted}: {error}.") from error


def _in_type(array: NDArray[Any], field: Field) -> NDArray[Any]:
    """Return values in the type of the field.

    Floating-point numbers are rounded to the store's precision; anything else must come through unharmed.
    """
    kind, wanted = array.dtype.kind, field.type
    if array.dtype == wanted:
        return array
    if kind == "O":
        array = np.array(array.tolist())
        kind = array.dtype.kind
    if wanted.kind == "f" and kind == "f":
        with np.errstate(over="ignore"):
            made = array.astype(wanted)
        if wanted.itemsize < array.dtype.itemsize and not np.array_equal(np.isinf(made), np.isinf(array)):
            raise _lossy(array, field, f"{np.nanmax(np.abs(array[np.isfinite(array)])):g} is too large for it")
        return made
    if kind not in "iub" or (kind == "b" and wanted.kind == "f"):
        raise _lossy(array, field, "it would not keep the values")
    low, high = _limits(wanted)
    if array.size and not (low <= int(array.min()) and int(array.max()) <= high):
        raise _lossy(array, field, f"values from {array.min()} to {array.max()} do not fit")
    return array.astype(wanted)


def _limits(wanted: np.dtype[Any]) -> tuple[int, int]:
    if wanted.kind == "f":
        return -EXACT_INTEGERS[wanted.itemsize], EXACT_INTEGERS[wanted.itemsize]
    return int(np.iinfo(wanted).min), int(np.iinfo(wanted).max)


def _lossy(array: NDArray[Any], field: Field, why: str) -> InvalidInputError:
    return InvalidInputError(
        f"{field.name} is {array.dtype}, the store holds {field.dtype}: {why}. Convert it first, or create the store "
        f"with another type."
    )


def _check_status(status: NDArray[np.uint8]) -> NDArray[np.uint8]:
    known = (Status.NOT_OBSERVED, Status.NOT_DETECTED, Status.DETECTED)
    if status.size and not known[0] <= int(status.min()) <= int(status.max()) <= known[-1]:
        said = ", ".join(f"{s.value} ({s.name.lower()})" for s in known)
        raise InvalidInputError(f"{STATUS} has values from {status.min()} to {status.max()}. Use {said}.")
    return status


def check_twice(keys: Iterable[Any], positions: NDArray[np.int64], *, where: str) -> None:
    """Raise InvalidInputError for an object that has two rows."""
    ordered = np.sort(positions)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(twice):
        rows = np.flatnonzero(positions == twice[0])
        key = np.asarray(keys).reshape(-1)[rows[0]].item()
        raise InvalidInputError(
            f"{where}: object {key!r} has {len(rows)} rows, the first at {rows[0]} and {rows[1]}. Give one per object."
        )


def time_to_mjd(time: Any, scale: str) -> float:
    """Return a time, an astropy Time or a modified Julian date in the scale of the store, as a number.

    >>> time_to_mjd(60310.25, "utc")
    60310.25
    """
    if time is None:
        return float("nan")
    if hasattr(time, "mjd"):
        converted = getattr(time, scale) if scale != "local" else time
        time = converted.mjd
    if isinstance(time, bool | str) or np.ndim(time):
        raise InvalidInputError(f"time {time!r} is no moment. Give an astropy Time or a modified Julian date.")
    mjd = float(time)
    if math.isinf(mjd):
        raise InvalidInputError(f"time {time!r} is not finite. Give an astropy Time or a modified Julian date.")
    return mjd
