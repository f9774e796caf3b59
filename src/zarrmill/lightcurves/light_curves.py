"""Many objects through the same epochs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.light_curve import FLUX, LIMIT, LightCurve, Status, find_measurements, find_status
from zarrmill.lightcurves.nearest import unknown_name
from zarrmill.lightcurves.photometry import Measurement


@dataclass(frozen=True, slots=True, eq=False)
class LightCurves:
    """What was measured of several objects; arrays have the axes (object, epoch, measurement).

    >>> lcs = LightCurves(keys=np.array([7, 9]), time=np.arange(3.0), measurements=(Measurement("g"),),
    ...                   arrays={"flux": np.ones((2, 3, 1)), "flux_err": np.ones((2, 3, 1))})
    >>> len(lcs), lcs[1].key, [lc["flux"].shape for lc in lcs]
    (2, 9, [(3, 1), (3, 1)])
    """

    keys: NDArray[Any]
    """Key of each object."""
    time: NDArray[np.float64]
    """Modified Julian date of each epoch in days, without what belongs to single objects."""
    measurements: tuple[Measurement, ...]
    """What the last axis means."""
    arrays: Mapping[str, NDArray[Any]]
    """flux and flux_err, and where the store has them flag (integers) and limit."""
    status: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    """A ``Status`` per value; found from values and limits where it is not given."""
    epoch: NDArray[Any] = field(default_factory=lambda: np.empty(0, np.int64))
    """Index or key of each epoch in the store; counted from 0 where it is not given."""
    scale: str = "utc"
    """Scale of the times as astropy calls it."""
    offset: NDArray[np.float64] | None = None
    """Seconds per object and epoch that a light curve adds to the times."""
    flag_masks: Mapping[str, int] = field(default_factory=dict)
    """Bits of ``flag`` by what they mean."""
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """What else the store knows of the objects, among it ra and dec in degrees."""

    def __post_init__(self) -> None:
        shape = (len(self.keys), len(self.time), len(self.measurements))
        if not len(self.epoch):
            object.__setattr__(self, "epoch", np.arange(shape[1]))
        self[FLUX]
        if not self.status.size:
            object.__setattr__(self, "status", find_status(self[FLUX], self.arrays.get(LIMIT)))
        for name, values in {**self.arrays, "status": self.status}.items():
            if values.shape != shape:
                raise InvalidInputError(
                    f"{name} has shape {values.shape}, objects, epochs and measurements are {shape}. Give one shape."
                )

    def __getitem__(self, name: str | int) -> Any:
        """Return an array by name, or the light curve of the object at a position."""
        if isinstance(name, str):
            if name not in self.arrays:
                raise unknown_name(name, list(self.arrays), what="array", where="light curves")
            return self.arrays[name]
        return self._at(range(len(self.keys))[name])

    def _at(self, i: int) -> LightCurve:
        offset = None if self.offset is None else self.offset[i]
        columns = {name: values[i] for name, values in self.columns.items()}
        return LightCurve(
            key=self.keys[i].item() if hasattr(self.keys[i], "item") else self.keys[i],
            time=self.time if offset is None else self.time + np.nan_to_num(offset) / 86400,
            measurements=self.measurements,
            arrays={name: values[i] for name, values in self.arrays.items()},
            status=self.status[i],
            epoch=self.epoch,
            scale=self.scale,
            offset=offset,
            ra=float(columns.pop("ra", np.nan)),
            dec=float(columns.pop("dec", np.nan)),
            flag_masks=self.flag_masks,
            columns=columns,
        )

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[LightCurve]:
        return (self._at(i) for i in range(len(self)))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the measurements."""
        return tuple(m.name for m in self.measurements)

    @property
    def detected(self) -> NDArray[np.bool_]:
        """Where there is a value."""
        return np.asarray(self.status == Status.DETECTED)

    def select(self, name: str) -> LightCurves:
        """Return the measurement of this name or, where there is none, those of this band."""
        chosen = find_measurements(name, self.measurements, where="light curves")
        return replace(
            self,
            measurements=tuple(self.measurements[i] for i in chosen),
            arrays={name: values[..., chosen] for name, values in self.arrays.items()},
            status=self.status[..., chosen],
        )
