"""statistics.py: in bulk what a loop over objects finds."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.light_curve import Status
from zarrmill.lightcurves.light_curves import LightCurves
from zarrmill.lightcurves.photometry import Measurement
from zarrmill.lightcurves.statistics import STATISTICS, compute_statistics, describe


def loop(points):
    """Return every statistic of one light curve, given as (value, error) in order of time, in plain Python."""
    nan = math.nan
    x = [v for v, _ in points]
    pairs = [(v, e) for v, e in points if e > 0]
    n, k = len(x), len(pairs)
    found = dict.fromkeys(STATISTICS, nan) | {"n": n}
    if n:
        mean, median = math.fsum(x) / n, statistics.median(x)
        found |= {
            "mean": mean, "median": median, "mad": statistics.median(abs(v - median) for v in x),
            "min": min(x), "max": max(x), "amplitude": (max(x) - min(x)) / 2,
        }  # fmt: skip
    if n > 1:
        squares = math.fsum((v - mean) ** 2 for v in x)
        found["std"] = math.sqrt(squares / (n - 1))
        if squares:
            found["von_neumann"] = sum((b - a) ** 2 for a, b in itertools.pairwise(x)) / squares
            found["skew"] = math.fsum((v - mean) ** 3 for v in x) / n / (squares / n) ** 1.5
    if k:
        weight = math.fsum(e**-2 for _, e in pairs)
        m = math.fsum(v * e**-2 for v, e in pairs) / weight
        chi2 = math.fsum(((v - m) / e) ** 2 for v, e in pairs)
        found |= {"weighted_mean": m, "weighted_mean_err": weight**-0.5, "chi2": chi2}
    if k > 1:
        d = [math.sqrt(k / (k - 1)) * (v - m) / e for v, e in pairs]
        products = [a * b for a, b in itertools.pairwise(d)]
        found["chi2_reduced"] = chi2 / (k - 1)
        found["stetson_j"] = math.fsum(math.copysign(math.sqrt(abs(p)), p) if p else 0 for p in products) / (k - 1)
        if any(d):
            found["stetson_k"] = math.fsum(map(abs, d)) / k / math.sqrt(math.fsum(v * v for v in d) / k)
    return found


VALUE = st.one_of(st.integers(-50, 50).map(float), st.just(math.nan))
ERROR = st.one_of(st.floats(0.1, 5), st.sampled_from([0.0, math.nan, -1.0]))
POINT = st.tuples(VALUE, ERROR, st.booleans())


@given(st.lists(st.lists(POINT, min_size=9, max_size=9), min_size=1, max_size=6), st.permutations(range(9)))
def test_in_bulk_is_what_a_loop_finds(rows, order):
    """Whatever is missing, has no error or was not detected, and in whatever order epochs come."""
    value, error, detected = (np.array([[p[i] for p in row] for row in rows]) for i in range(3))
    found = compute_statistics(value, error, detected=detected, time=np.array(order))
    by_time = np.argsort(order)

    for i, row in enumerate(rows):
        points = [(row[j][0], row[j][1]) for j in by_time if row[j][2] and not math.isnan(row[j][0])]
        for name, expected in loop(points).items():
            # Where all deviations are rounding errors, their ratios say nothing.
            if name in ("stetson_j", "stetson_k", "skew", "von_neumann") and len({v for v, _ in points}) < 2:
                continue
            assert found[name][i] == pytest.approx(expected, rel=1e-7, abs=1e-7, nan_ok=True), name


def test_normal_noise_has_the_values_of_theory():
    """Reduced chi2 of 1, von Neumann ratio of 2, Stetson K of 0.798, J of 0, in single precision far from 0."""
    rng = np.random.default_rng(1)
    value = (1000 + rng.normal(0, 2, (200, 500))).astype("f4")
    found = {name: v.mean() for name, v in compute_statistics(value, np.full(value.shape, 2.0, "f4")).items()}

    assert found["chi2_reduced"] == pytest.approx(1, abs=0.02)
    assert found["von_neumann"] == pytest.approx(2, abs=0.02)
    assert found["stetson_k"] == pytest.approx(0.798, abs=0.005)
    assert found["stetson_j"] == pytest.approx(0, abs=0.02)
    assert found["mad"] * 1.4826 == pytest.approx(2, abs=0.05)


def test_a_slow_variable_stands_out():
    """Neighbours that agree make J large and the von Neumann ratio small."""
    wave = np.sin(np.linspace(0, 12, 200))[None]
    found = compute_statistics(wave, np.full(wave.shape, 0.05))

    assert found["stetson_j"][0] > 5
    assert found["von_neumann"][0] < 0.1


def test_every_measurement_has_its_own():
    """Arrays of (object, measurement); what has a value but was not detected does not count."""
    status = np.full((2, 4, 2), Status.DETECTED, np.uint8)
    status[1, 2, 1] = Status.NOT_DETECTED
    lcs = LightCurves(
        keys=np.array([1, 2]),
        time=np.arange(4.0),
        measurements=(Measurement("g"), Measurement("r")),
        arrays={"flux": np.arange(16.0).reshape(2, 4, 2), "flux_err": np.ones((2, 4, 2))},
        status=status,
    )
    found = describe(lcs, names=["n", "mean"])

    assert found["n"].tolist() == [[4, 4], [4, 3]]
    assert found["mean"].tolist() == [[3.0, 4.0], [11.0, pytest.approx((9 + 11 + 15) / 3)]]


def test_objects_without_points_have_none():
    """NaN and a count of 0, without a warning."""
    found = compute_statistics(np.full((2, 3), np.nan), np.ones((2, 3)))

    assert found.pop("n").tolist() == [0, 0]
    assert all(np.isnan(values).all() for values in found.values())
    assert compute_statistics(np.empty((0, 3)), np.empty((0, 3)))["n"].shape == (0,)


def test_bad_input_is_named():
    """Unknown statistics with the nearest, arrays with their shapes."""
    with pytest.raises(KeyError, match=r"no statistic 'stetson'\. Did you mean 'stetson_"):
        compute_statistics(np.ones((1, 2)), np.ones((1, 2)), names=["stetson"])
    with pytest.raises(InvalidInputError, match=r"values have shape \(2,\)"):
        compute_statistics(np.ones(2), np.ones(2))
