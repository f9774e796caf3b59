"""periodogram.py: the period of a star."""

from __future__ import annotations

import numpy as np
import pytest

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.light_curve import LightCurve
from zarrmill.lightcurves.periodogram import find_periods
from zarrmill.lightcurves.photometry import Measurement

pytest.importorskip("astropy")
PERIOD = 0.5427


def make(n=120, error=0.05, names=("g",)) -> LightCurve:
    """Return a sine at random times, some of them not observed."""
    rng = np.random.default_rng(3)
    time = 60000 + np.sort(rng.uniform(0, 90, n))
    value = 18 + 0.4 * np.sin(2 * np.pi * time / PERIOD) + rng.normal(0, 0.05, n)
    value[::7] = np.nan
    arrays = {"flux": np.stack([value] * len(names), axis=1), "flux_err": np.full((n, len(names)), error)}
    return LightCurve(key=1, time=time, measurements=tuple(Measurement(m) for m in names), arrays=arrays)


@pytest.mark.parametrize("error", [0.05, np.nan], ids=["with errors", "without"])
def test_a_period_is_found(error):
    """To a thousandth, of points that were detected, with errors or without."""
    found = find_periods(make(error=error))

    assert found.best == pytest.approx(PERIOD, rel=1e-3)
    assert found.power.max() > 0.9
    assert found.points == 120 - len(range(0, 120, 7))


def test_the_range_of_periods_is_kept():
    """What lies outside is not looked at."""
    found = find_periods(make(), shortest=1.0, longest=10.0)

    assert (found.period.min() >= 0.99, found.period.max() <= 10.0001) == (True, True)


@pytest.mark.parametrize(
    ("lc", "options", "message"),
    [
        (make(n=5), {}, "4 points of 'g', a period needs 5"),
        (make(names=("g", "r")), {}, "Name one of g, r"),
        (make(), {"shortest": 5.0, "longest": 2.0}, "from 5 to 2 days"),
        (make(), {"shortest": 0.0}, "must be above 0"),
    ],
    ids=["few", "several", "range", "zero"],
)
def test_what_has_no_period_is_refused(lc, options, message):
    """With what would do."""
    with pytest.raises(InvalidInputError, match=message):
        find_periods(lc, **options)


def test_one_of_several_measurements_is_named():
    """By name or band."""
    assert find_periods(make(names=("g", "r")), "r").best == pytest.approx(PERIOD, rel=1e-3)
