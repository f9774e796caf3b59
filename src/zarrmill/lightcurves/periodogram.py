"""The periods of one light curve: a Lomb-Scargle periodogram by astropy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.light_curve import ERROR, FLUX, LightCurve
from zarrmill.lightcurves.optional import load

LEAST_POINTS = 5
"""Points below which a period says nothing: a sine with a mean has four parameters."""


@dataclass(frozen=True, slots=True, eq=False)
class Periodogram:
    """Power by period of one measurement."""

    period: NDArray[np.float64]
    """Periods in days, falling."""
    power: NDArray[np.float64]
    """Standard power from 0 to 1: the part of chi2 that a sine of the period explains."""
    points: int
    """Points that were used."""

    @property
    def best(self) -> float:
        """Period of the highest power, in days."""
        return float(self.period[np.argmax(self.power)])


def find_periods(
    lc: LightCurve,
    measurement: str | None = None,
    *,
    shortest: float = 0.1,
    longest: float | None = None,
    per_peak: int = 10,
) -> Periodogram:
    """Return the periodogram of a light curve between two periods in days, ``longest`` being its time span by default.

    Each peak is sampled ``per_peak`` times. Raises InvalidInputError for too few points and for several measurements.
    """
    lc = lc if measurement is None else lc.select(measurement)
    if len(lc.measurements) != 1:
        raise InvalidInputError(
            f"object {lc.key!r}: a periodogram is of one measurement, there are {len(lc.measurements)}. "
            f"Name one of {', '.join(lc.names)}."
        )
    there = lc.detected[:, 0] & np.isfinite(lc.time)
    if there.sum() < LEAST_POINTS:
        raise InvalidInputError(
            f"object {lc.key!r}: {int(there.sum())} points of {lc.names[0]!r}, a period needs {LEAST_POINTS}. "
            f"Choose another."
        )
    time, value, error = (
        np.asarray(each[there], dtype=np.float64) for each in (lc.time, lc[FLUX][:, 0], lc[ERROR][:, 0])
    )
    span = float(np.ptp(time))
    longest = span if longest is None else longest
    if not 0 < shortest < longest:
        raise InvalidInputError(
            f"object {lc.key!r}: periods from {shortest:g} to {longest:g} days. The shortest must be above 0 and below "
            f"the longest."
        )
    # Points without an error would have no weight: then none has.
    weights = error if (np.isfinite(error) & (error > 0)).all() else None
    search = load("astropy.timeseries").LombScargle(time - time.min(), value, weights)
    frequency, power = search.autopower(
        minimum_frequency=1 / longest, maximum_frequency=1 / shortest, samples_per_peak=per_peak
    )
    return Periodogram(1 / np.asarray(frequency), np.asarray(power), int(there.sum()))
