"""One object through all epochs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.nearest import unknown_name
from zarrmill.lightcurves.photometry import Measurement

FLUX, ERROR, FLAG, LIMIT = "flux", "flux_err", "flag", "limit"
"""The arrays of a light curve; the first two are always there."""
PER_VALUE = (FLUX, ERROR, LIMIT)
"""Arrays in the unit of the measurement."""


class Status(IntEnum):
    """Why there is a value, or why there is none: three absences that a NaN alone would make one."""

    NOT_INGESTED = 0
    """The epoch has not been added to the store."""
    NOT_OBSERVED = 1
    """The epoch says nothing of this object: outside the field, or in a gap."""
    NOT_DETECTED = 2
    """Observed, and fainter than the limit of the epoch."""
    DETECTED = 3
    """There is a value."""


@dataclass(frozen=True, slots=True, eq=False)
class LightCurve:
    """What was measured of one object; arrays have the axes (epoch, measurement).

    >>> lc = LightCurve(key=7, time=np.array([1.0, 2.0]), measurements=(Measurement("g"), Measurement("r")),
    ...                 arrays={"flux": np.array([[1, 2], [3, np.nan]]), "flux_err": np.full((2, 2), 0.1)})
    >>> lc["flux"].shape, lc.select("g")["flux"][:, 0].tolist(), lc.detected.sum().item()
    ((2, 2), [1.0, 3.0], 3)
    """

    key: int | str
    """Key of the object."""
    time: NDArray[np.float64]
    """Modified Julian date of each epoch at this object, in days: ``offset`` is included."""
    measurements: tuple[Measurement, ...]
    """What the second axis means."""
    arrays: Mapping[str, NDArray[Any]]
    """flux and flux_err, and where the store has them flag (integers) and limit."""
    status: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    """A ``Status`` per value; found from values and limits where it is not given."""
    epoch: NDArray[Any] = field(default_factory=lambda: np.empty(0, np.int64))
    """Index or key of each epoch in the store; counted from 0 where it is not given."""
    scale: str = "utc"
    """Scale of the times as astropy calls it: utc, tai, tdb."""
    offset: NDArray[np.float64] | None = None
    """Seconds in ``time`` that belong to this object: light travel time to the barycentre."""
    ra: float = float("nan")
    """Right ascension in degrees; NaN where the store has no positions."""
    dec: float = float("nan")
    """Declination in degrees."""
    flag_masks: Mapping[str, int] = field(default_factory=dict)
    """Bits of ``flag`` by what they mean."""
    columns: Mapping[str, Any] = field(default_factory=dict)
    """What else the store knows of the object: type, period."""

    def __post_init__(self) -> None:
        shape = (len(self.time), len(self.measurements))
        names = {m.name for m in self.measurements}
        if len(names) != len(self.measurements):
            raise InvalidInputError(f"object {self.key!r}: {shape[1]} measurements, {len(names)} names. Rename some.")
        if not len(self.epoch):
            object.__setattr__(self, "epoch", np.arange(shape[0]))
        self[FLUX]
        if not self.status.size:
            object.__setattr__(self, "status", find_status(self[FLUX], self.arrays.get(LIMIT)))
        _check_shapes(self, shape)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return an array by name; raises UnknownNameError, a KeyError, with the nearest."""
        try:
            return self.arrays[name]
        except KeyError:
            raise unknown_name(name, list(self.arrays), what="array", where=f"object {self.key!r}") from None

    def __len__(self) -> int:
        return len(self.time)

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __contains__(self, name: object) -> bool:
        return name in self.arrays

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the measurements."""
        return tuple(m.name for m in self.measurements)

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands, each once."""
        return tuple(dict.fromkeys(m.band for m in self.measurements))

    @property
    def detected(self) -> NDArray[np.bool_]:
        """Where there is a value."""
        return np.asarray(self.status == Status.DETECTED)

    @property
    def times(self) -> Any:
        """The epochs as an ``astropy.time.Time``."""
        from zarrmill.lightcurves.conversions import to_time

        return to_time(self.time, self.scale)

    def select(self, name: str) -> LightCurve:
        """Return the measurement of this name or, where there is none, those of this band.

        Raises UnknownNameError, a KeyError, with the nearest names.
        """
        chosen = find_measurements(name, self.measurements, where=f"object {self.key!r}")
        return replace(
            self,
            measurements=tuple(self.measurements[i] for i in chosen),
            arrays={name: values[:, chosen] for name, values in self.arrays.items()},
            status=self.status[:, chosen],
        )

    def take(self, index: Any) -> LightCurve:
        """Return some of the epochs, by mask, indices or slice, in that order."""
        return replace(
            self,
            time=self.time[index],
            arrays={name: values[index] for name, values in self.arrays.items()},
            status=self.status[index],
            epoch=self.epoch[index],
            offset=None if self.offset is None else self.offset[index],
        )

    def sort(self) -> LightCurve:
        """Return the epochs in order of time."""
        return self.take(np.argsort(self.time, kind="stable"))

    def to_magnitudes(self) -> LightCurve:
        """Return fluxes as magnitudes by their zero points; fluxes that are not positive become not detected."""
        from zarrmill.lightcurves.conversions import convert_kind

        return convert_kind(self, "magnitude")

    def to_fluxes(self) -> LightCurve:
        """Return magnitudes as fluxes by their zero points."""
        from zarrmill.lightcurves.conversions import convert_kind

        return convert_kind(self, "flux")

    def to_pandas(self, *, missing: bool = False) -> Any:
        """Return a ``pandas.DataFrame`` with one row per value, and with ``missing`` also those that were not taken."""
        from zarrmill.lightcurves.conversions import to_pandas

        return to_pandas(self, missing=missing)

    def to_xarray(self) -> Any:
        """Return an ``xarray.Dataset`` with the dimensions epoch and measurement."""
        from zarrmill.lightcurves.conversions import to_xarray

        return to_xarray(self)

    def to_timeseries(self) -> Any:
        """Return an ``astropy.timeseries.TimeSeries`` in order of time with masked columns such as flux_g."""
        from zarrmill.lightcurves.conversions import to_timeseries

        return to_timeseries(self)

    def to_lightkurve(self, measurement: str | None = None) -> Any:
        """Return the ``lightkurve.LightCurve`` of one measurement, as flux; it may be left out where there is one."""
        from zarrmill.lightcurves.conversions import to_lightkurve

        return to_lightkurve(self, measurement)


def find_measurements(name: str, measurements: Sequence[Measurement], *, where: str) -> list[int]:
    """Return the positions of the measurement of a name or, where there is none, of those of a band.

    Raises UnknownNameError, a KeyError, with the nearest names.
    """
    chosen = [i for i, m in enumerate(measurements) if m.name == name]
    chosen = chosen or [i for i, m in enumerate(measurements) if m.band == name]
    if not chosen:
        known = list(dict.fromkeys(word for m in measurements for word in (m.name, m.band)))
        raise unknown_name(name, known, what="measurement or band", where=where)
    return chosen


def find_status(flux: NDArray[Any], limit: NDArray[Any] | None = None) -> NDArray[np.uint8]:
    """Return the status that values alone tell: no value is not detected where there is a limit, else not observed.

    >>> find_status(np.array([1.0, np.nan, np.nan]), np.array([np.nan, 20.5, np.nan])).tolist()
    [3, 2, 1]
    """
    absent = np.uint8(Status.NOT_OBSERVED)
    below = absent if limit is None else np.where(np.isfinite(limit), np.uint8(Status.NOT_DETECTED), absent)
    return np.where(np.isfinite(flux), np.uint8(Status.DETECTED), below)


def _check_shapes(lc: LightCurve, shape: tuple[int, int]) -> None:
    for name, values in {**lc.arrays, "status": lc.status}.items():
        if values.shape != shape:
            raise InvalidInputError(
                f"object {lc.key!r}: {name} has shape {values.shape}, epochs and measurements are {shape}."
            )
    per_epoch = {"epoch": lc.epoch} if lc.offset is None else {"epoch": lc.epoch, "offset": lc.offset}
    for name, values in per_epoch.items():
        if len(values) != shape[0]:
            raise InvalidInputError(f"object {lc.key!r}: {name} has {len(values)} values, there are {shape[0]} epochs.")
