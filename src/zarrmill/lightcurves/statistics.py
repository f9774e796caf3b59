"""Statistics of many light curves at once, over whatever was detected of each; formulas in ``STATISTICS``.

Points are gathered at the front of each row, in order of time, so that a sort, a sum or a difference along the rows
does for all objects what a loop does for one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.light_curve import ERROR, FLUX
from zarrmill.lightcurves.light_curves import LightCurves
from zarrmill.lightcurves.nearest import unknown_name

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Points:
    """The points of many light curves: values that are there at the front of each row, the rest NaN.

    The weighted ones are those that have an error above 0.
    """

    value: Floats
    """Values, (object, point), in order of time."""
    error: Floats
    """Errors of them; NaN where one is missing or not above 0."""

    @classmethod
    def gather(cls, value: Any, error: Any, detected: NDArray[np.bool_] | None = None) -> Points:
        """Return the points of arrays of shape (object, epoch), whose epochs are in order of time."""
        values, errors = np.asarray(value, dtype=np.float64), np.asarray(error, dtype=np.float64)
        there = np.isfinite(values) if detected is None else detected & np.isfinite(values)
        order = np.argsort(~there, axis=1, kind="stable")
        most = int(there.sum(axis=1).max(initial=0))
        take = order[:, :most]
        missing = ~np.take_along_axis(there, take, axis=1)
        values = np.where(missing, np.nan, np.take_along_axis(values, take, axis=1))
        errors = np.where(missing, np.nan, np.take_along_axis(errors, take, axis=1))
        return cls(values, np.where(np.isfinite(errors) & (errors > 0), errors, np.nan))

    @cached_property
    def there(self) -> NDArray[np.bool_]:
        """Where there is a point."""
        return np.asarray(~np.isnan(self.value))

    @cached_property
    def n(self) -> NDArray[np.int64]:
        """Points per object."""
        return np.asarray(self.there.sum(axis=1))

    @cached_property
    def mean(self) -> Floats:
        """Mean of the values."""
        return np.asarray(np.nansum(self.value, axis=1) / self.n)

    @cached_property
    def squares(self) -> Floats:
        """Sum of the squared deviations from the mean."""
        return np.asarray(np.nansum((self.value - self.mean[:, None]) ** 2, axis=1))

    @cached_property
    def median(self) -> Floats:
        """Median of the values."""
        return find_medians(self.value, self.n)

    @cached_property
    def weighted(self) -> Points:
        """Those points that have an error, at the front of each row."""
        return self if self.has_all_errors else Points.gather(self.value, self.error, ~np.isnan(self.error))

    @property
    def has_all_errors(self) -> bool:
        """Whether each point has an error."""
        return bool((np.isnan(self.error) == np.isnan(self.value)).all())

    @cached_property
    def weight(self) -> Floats:
        """Inverse variances; 0 where there is no point."""
        return np.asarray(np.nan_to_num(self.error**-2.0))

    @cached_property
    def weighted_mean(self) -> Floats:
        """Mean of the values weighted with the inverse variances."""
        return np.asarray(np.nansum(self.value * self.weight, axis=1) / self.weight.sum(axis=1))

    @cached_property
    def deviation(self) -> Floats:
        """Deviations from the weighted mean in units of the errors, freed of the bias of the mean (Stetson 1996)."""
        bias = np.sqrt(self.n / (self.n - 1))
        return np.asarray(bias[:, None] * (self.value - self.weighted_mean[:, None]) / self.error)


def find_medians(values: Floats, n: NDArray[np.int64]) -> Floats:
    """Return the median of the first values of each row, the rest of which is NaN.

    >>> find_medians(np.array([[3.0, 1.0, 2.0], [4.0, 2.0, np.nan]]), np.array([3, 2])).tolist()
    [2.0, 3.0]
    """
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    ordered = np.sort(values, axis=1)
    pair = np.stack([np.maximum(n - 1, 0) // 2, n // 2], axis=1)
    return np.asarray(np.take_along_axis(ordered, np.minimum(pair, values.shape[1] - 1), axis=1).mean(axis=1))


def _chi2(points: Points) -> Floats:
    weighted = points.weighted
    return np.asarray(np.nansum((weighted.value - weighted.weighted_mean[:, None]) ** 2 * weighted.weight, axis=1))


def _stetson_j(points: Points) -> Floats:
    deviation = points.weighted.deviation
    product = deviation[:, :-1] * deviation[:, 1:]
    return np.asarray(np.nansum(np.sign(product) * np.sqrt(np.abs(product)), axis=1) / (points.weighted.n - 1))


def _stetson_k(points: Points) -> Floats:
    weighted = points.weighted
    mean, square = (
        np.nansum(each, axis=1) / weighted.n for each in (np.abs(weighted.deviation), weighted.deviation**2)
    )
    return np.asarray(mean / np.sqrt(square))


def _von_neumann(points: Points) -> Floats:
    return np.asarray(np.nansum(np.diff(points.value, axis=1) ** 2, axis=1) / points.squares)


def _extreme(points: Points, find: Callable[..., Any], fill: float) -> Floats:
    return np.asarray(find(np.where(points.there, points.value, fill), axis=1, initial=fill))


def _skew(points: Points) -> Floats:
    cubes = np.nansum((points.value - points.mean[:, None]) ** 3, axis=1) / points.n
    return np.asarray(cubes / (points.squares / points.n) ** 1.5)


@dataclass(frozen=True, slots=True)
class Statistic:
    """One number per light curve."""

    about: str
    """What it is, with its formula: x values, e errors, w = 1/e², m weighted mean, N points."""
    compute: Callable[[Points], Any]
    """Computes it for many light curves."""
    least: int = 1
    """Points that it needs; with fewer it is NaN."""
    weighted: bool = False
    """Whether only points with an error count."""


STATISTICS: Mapping[str, Statistic] = {
    "n": Statistic("points that were detected", lambda p: p.n, 0),
    "mean": Statistic("sum(x) / N", lambda p: p.mean),
    "std": Statistic("sqrt(sum((x - mean)²) / (N - 1))", lambda p: np.sqrt(p.squares / (p.n - 1)), 2),
    "weighted_mean": Statistic("sum(w x) / sum(w)", lambda p: p.weighted.weighted_mean, 1, True),
    "weighted_mean_err": Statistic("1 / sqrt(sum(w))", lambda p: p.weighted.weight.sum(axis=1) ** -0.5, 1, True),
    "median": Statistic("median of x", lambda p: p.median),
    "mad": Statistic("median of |x - median|", lambda p: find_medians(np.abs(p.value - p.median[:, None]), p.n)),
    "min": Statistic("smallest x", lambda p: _extreme(p, np.min, np.inf)),
    "max": Statistic("largest x", lambda p: _extreme(p, np.max, -np.inf)),
    "amplitude": Statistic(
        "(max - min) / 2", lambda p: (_extreme(p, np.max, -np.inf) - _extreme(p, np.min, np.inf)) / 2
    ),
    "skew": Statistic("mean of (x - mean)³ / (mean of (x - mean)²)^1.5", _skew, 2),
    "chi2": Statistic("sum(w (x - m)²)", _chi2, 1, True),
    "chi2_reduced": Statistic("chi2 / (N - 1)", lambda p: _chi2(p) / (p.weighted.n - 1), 2, True),
    "stetson_j": Statistic(
        "mean over neighbours in time of sign(d d') sqrt(|d d'|), d = sqrt(N / (N - 1)) (x - m) / e",
        _stetson_j, 2, True,
    ),
    "stetson_k": Statistic("mean of |d| / sqrt(mean of d²); 0.798 for normal noise", _stetson_k, 2, True),
    "von_neumann": Statistic(
        "sum over neighbours in time of (x' - x)² / sum((x - mean)²); 2 for noise", _von_neumann, 2
    ),
}  # fmt: skip
"""Every statistic by name."""


def compute_statistics(
    value: Any,
    error: Any,
    *,
    detected: NDArray[np.bool_] | None = None,
    time: Any = None,
    names: Sequence[str] | None = None,
) -> dict[str, NDArray[Any]]:
    """Return statistics by name, one per object, of arrays of the shape (object, epoch).

    Only values that are finite and ``detected`` count. Epochs are taken in order of ``time``, or as they come. Raises
    UnknownNameError for a statistic that there is not, InvalidInputError for arrays that do not fit.

    >>> found = compute_statistics([[1.0, 3.0, np.nan]], [[0.1, 0.1, 0.1]], names=["n", "weighted_mean", "chi2"])
    >>> {name: round(float(values[0]), 6) for name, values in found.items()}
    {'n': 2.0, 'weighted_mean': 2.0, 'chi2': 200.0}
    """
    values, errors = np.asarray(value), np.asarray(error)
    if values.ndim != 2 or errors.shape != values.shape or (detected is not None and detected.shape != values.shape):
        raise InvalidInputError(
            f"values have shape {values.shape}, errors {errors.shape}. Give (object, epoch) arrays."
        )
    wanted = list(STATISTICS) if names is None else list(names)
    for name in wanted:
        if name not in STATISTICS:
            raise unknown_name(name, list(STATISTICS), what="statistic", where="statistics")
    if time is not None:
        order = np.argsort(np.asarray(time), kind="stable")
        values, errors = values[:, order], errors[:, order]
        detected = None if detected is None else detected[:, order]
    points = Points.gather(values, errors, detected)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return {name: _settle(STATISTICS[name], points) for name in wanted}


def _settle(statistic: Statistic, points: Points) -> NDArray[Any]:
    """Return a statistic, NaN where there are too few points for it."""
    n = points.weighted.n if statistic.weighted else points.n
    found = np.asarray(statistic.compute(points))
    return found if statistic.least == 0 else np.where(n >= statistic.least, found, np.nan)


def describe(lcs: LightCurves, *, names: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """Return statistics by name of shape (object, measurement)."""
    columns = [
        compute_statistics(
            lcs[FLUX][:, :, i], lcs[ERROR][:, :, i], detected=lcs.detected[:, :, i], time=lcs.time, names=names
        )
        for i in range(len(lcs.measurements))
    ]
    return {name: np.stack([column[name] for column in columns], axis=1) for name in (columns[0] if columns else ())}
