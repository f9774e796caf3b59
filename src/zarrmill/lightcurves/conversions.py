"""A light curve as what other libraries of the field take: pandas, xarray, astropy and lightkurve."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.light_curve import ERROR, FLAG, FLUX, LIMIT, LightCurve, Status
from zarrmill.lightcurves.optional import load
from zarrmill.lightcurves.photometry import Kind, Measurement, to_flux, to_magnitude

STATUS_WORDS = {status: status.name.lower().replace("_", " ") for status in Status}
"""How a status is written in tables."""
_CONVERT = {"flux": to_flux, "magnitude": to_magnitude}


def to_time(mjd: NDArray[np.float64], scale: str) -> Any:
    """Return an ``astropy.time.Time``; its two doubles hold the days and their fraction."""
    days = np.floor(mjd)
    return load("astropy.time").Time(days, mjd - days, format="mjd", scale=scale)


def convert_kind(lc: LightCurve, kind: Kind) -> LightCurve:
    """Return a light curve in which every measurement is of one kind; those that are stay untouched.

    Raises InvalidInputError where a measurement has no zero point.
    """
    arrays = {name: values.copy() for name, values in lc.arrays.items()}
    for i, m in enumerate(lc.measurements):
        if m.kind != kind:
            _convert_column(arrays, i, kind, m.find_zero_point())
    status = lc.status.copy()
    status[lc.detected & np.isnan(arrays[FLUX])] = Status.NOT_DETECTED
    return replace(lc, measurements=tuple(_rename_kind(m, kind) for m in lc.measurements), arrays=arrays, status=status)


def _convert_column(arrays: dict[str, NDArray[Any]], i: int, kind: Kind, zero_point: float) -> None:
    columns = arrays[FLUX][:, i], arrays[ERROR][:, i]
    arrays[FLUX][:, i], arrays[ERROR][:, i] = _CONVERT[kind](*columns, zero_point=zero_point)
    if LIMIT in arrays:
        limit = arrays[LIMIT][:, i]
        arrays[LIMIT][:, i], _ = _CONVERT[kind](limit, limit, zero_point=zero_point)


def _rename_kind(m: Measurement, kind: Kind) -> Measurement:
    if m.kind == kind:
        return m
    # A flux whose magnitude was in no known unit is in units of its zero point.
    unit = "mag" if kind == "magnitude" else ""
    return replace(m, kind=kind, unit=unit, zero_point=m.find_zero_point())


def to_pandas(lc: LightCurve, *, missing: bool = False) -> Any:
    """Return one row per epoch and measurement, without those that were not taken unless ``missing`` says so."""
    n, m = lc.status.shape
    columns: dict[str, Any] = {
        "time": np.repeat(lc.time, m),
        "epoch": np.repeat(lc.epoch, m),
        "measurement": np.tile(np.array(lc.names, dtype=object), n),
        "band": np.tile(np.array([each.band for each in lc.measurements], dtype=object), n),
        **{name: values.reshape(-1) for name, values in lc.arrays.items()},
        "status": np.array([STATUS_WORDS[s] for s in Status], dtype=object)[lc.status.reshape(-1)],
    }
    frame = load("pandas").DataFrame(columns)
    taken = lc.status.reshape(-1) >= Status.NOT_DETECTED
    return frame if missing else frame[taken].reset_index(drop=True)


def to_xarray(lc: LightCurve) -> Any:
    """Return a Dataset with CF units and the meaning of each status as attributes."""
    dims = ("epoch", "measurement")
    units = {m.unit for m in lc.measurements}
    attrs = {"units": units.pop()} if len(units) == 1 and units != {""} else {}
    variables: dict[str, Any] = {
        name: (dims, values, {} if name == FLAG else attrs) for name, values in lc.arrays.items()
    }
    meanings = " ".join(status.name.lower() for status in Status)
    variables["status"] = (dims, lc.status, {"flag_values": [int(s) for s in Status], "flag_meanings": meanings})
    time_attrs = {"units": "days since 1858-11-17", "time_scale": lc.scale, "long_name": "modified Julian date"}
    coords = {
        "epoch": ("epoch", lc.epoch),
        "time": ("epoch", lc.time, time_attrs),
        "measurement": ("measurement", list(lc.names)),
        "band": ("measurement", [m.band for m in lc.measurements]),
        "kind": ("measurement", [m.kind for m in lc.measurements]),
    }
    attributes = {"object": lc.key, "ra": lc.ra, "dec": lc.dec}
    return load("xarray").Dataset(variables, coords=coords, attrs=attributes)


def to_timeseries(lc: LightCurve) -> Any:
    """Return a TimeSeries with a masked column per array and measurement, without epochs that were not ingested."""
    lc = _in_order(lc)
    series = load("astropy.timeseries").TimeSeries(time=lc.times)
    masked, units = load("astropy.utils.masked").Masked, load("astropy.units")
    for i, m in enumerate(lc.measurements):
        for name, values in lc.arrays.items():
            series[f"{name}_{m.name}"] = _column(values[:, i], m.unit if name != FLAG else None, masked, units)
        series[f"status_{m.name}"] = lc.status[:, i]
    series.meta.update(object=lc.key, ra=lc.ra, dec=lc.dec)
    return series


def _column(values: NDArray[Any], unit: str | None, masked: Any, units: Any) -> Any:
    """Return a quantity of which the NaN are masked; integers as they are."""
    if unit is None or values.dtype.kind != "f":
        return values
    quantity = units.Quantity(values, units.Unit(unit) if unit else units.dimensionless_unscaled, copy=True)
    return masked(quantity, mask=np.isnan(values))


def _in_order(lc: LightCurve) -> LightCurve:
    return lc.take((lc.status != Status.NOT_INGESTED).any(axis=1)).sort()


def to_lightkurve(lc: LightCurve, measurement: str | None = None) -> Any:
    """Return the LightCurve of lightkurve, which holds fluxes of one measurement: magnitudes are converted.

    Raises InvalidInputError where more than one measurement could be meant.
    """
    lc = lc if measurement is None else lc.select(measurement)
    if len(lc.measurements) != 1:
        raise InvalidInputError(
            f"object {lc.key!r}: lightkurve takes one measurement, there are {len(lc.measurements)}. "
            f"Name one of {', '.join(lc.names)}."
        )
    lc = _in_order(lc.to_fluxes())
    (m,) = lc.measurements
    unit = load("astropy.units").Unit(m.unit) if m.unit else None
    columns = {
        name: values[:, 0] * unit if unit and name != FLAG else values[:, 0] for name, values in lc.arrays.items()
    }
    meta = {"LABEL": str(lc.key), "RA": lc.ra, "DEC": lc.dec, "FILTER": m.band, "ZEROPOINT": m.zero_point}
    return load("lightkurve").LightCurve({"time": lc.times, **columns}, meta=meta)
