"""light_curve.py: one object, its selections and the three absences."""

from __future__ import annotations

import numpy as np
import pytest

from zarrmill.errors import InvalidInputError, UnknownNameError
from zarrmill.lightcurves.light_curve import LightCurve, Status, find_status
from zarrmill.lightcurves.photometry import Measurement

G1, G2, R = Measurement("g_ap1", "g", unit="nJy"), Measurement("g_ap2", "g", unit="nJy"), Measurement("r", unit="nJy")


def make(**changes) -> LightCurve:
    """Return four epochs of three measurements: values 0 to 11, one of them missing."""
    flux = np.arange(12.0).reshape(4, 3)
    flux[1, 2] = np.nan
    given = {"flux": flux, "flux_err": np.full((4, 3), 0.5), "flag": np.arange(12, dtype="u2").reshape(4, 3)}
    fields = {"key": 7, "time": np.array([3.0, 1.0, 2.0, 4.0]), "measurements": (G1, G2, R), "arrays": given}
    return LightCurve(**(fields | changes))


def test_arrays_go_by_name():
    """Values, errors and flags are (epoch, measurement) arrays; the light curve knows which it has."""
    lc = make()

    assert lc["flux"].shape == lc["flux_err"].shape == (4, 3)
    assert ("flag" in lc, "limit" in lc, list(lc), len(lc)) == (True, False, ["flux", "flux_err", "flag"], 4)
    assert (lc.names, lc.bands) == (("g_ap1", "g_ap2", "r"), ("g", "r"))


@pytest.mark.parametrize(
    ("name", "near"), [("fluxerr", "flux_err"), ("Flag", "flag"), ("limits", "There are")], ids=str
)
def test_an_unknown_array_names_the_nearest(name, near):
    """It is a KeyError that says what was meant."""
    with pytest.raises(KeyError, match=near) as caught:
        make()[name]

    assert isinstance(caught.value, UnknownNameError)
    assert "object 7" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "columns"), [("r", [2]), ("g_ap2", [1]), ("g", [0, 1])], ids=["measurement", "aperture", "band"]
)
def test_select_takes_a_measurement_or_a_band(name, columns):
    """A band gives all its apertures, in every array and the status."""
    lc = make()
    selected = lc.select(name)

    np.testing.assert_array_equal(selected["flux"], lc["flux"][:, columns])
    np.testing.assert_array_equal(selected["flag"], lc["flag"][:, columns])
    np.testing.assert_array_equal(selected.status, lc.status[:, columns])
    assert selected.names == tuple(lc.names[i] for i in columns)


def test_a_measurement_comes_before_a_band_of_the_same_name():
    """Nothing that has a name is hidden by a band."""
    lc = make(measurements=(Measurement("g"), Measurement("g_ap2", "g"), R))

    assert lc.select("g").names == ("g",)


def test_an_unknown_measurement_names_the_nearest():
    """Silence would select nothing."""
    with pytest.raises(KeyError, match=r"no measurement or band 'g_ap3'. Did you mean 'g_ap2' or 'g_ap1'"):
        make().select("g_ap3")


def test_take_and_sort_keep_epochs_together():
    """Times, epochs, offsets, values and status move as one."""
    lc = make(offset=np.array([30.0, 10.0, 20.0, 40.0]))
    ordered = lc.sort()

    assert ordered.time.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert ordered.epoch.tolist() == [1, 2, 0, 3]
    assert ordered.offset.tolist() == [10.0, 20.0, 30.0, 40.0]
    np.testing.assert_array_equal(ordered["flux"], lc["flux"][[1, 2, 0, 3]])
    np.testing.assert_array_equal(ordered.status, lc.status[[1, 2, 0, 3]])
    assert len(lc.take(lc.time > 2)) == 2


def test_the_three_absences_stay_apart():
    """No value is not detected where there is a limit and not observed where there is none; not ingested is told."""
    flux = np.array([[1.0], [np.nan], [np.nan], [np.nan]])
    limit = np.array([[np.nan], [20.5], [np.nan], [np.nan]])
    status = find_status(flux, limit)
    status[3] = Status.NOT_INGESTED
    lc = make(measurements=(R,), arrays={"flux": flux, "flux_err": flux, "limit": limit}, status=status)

    assert [Status(s).name for s in lc.status[:, 0]] == ["DETECTED", "NOT_DETECTED", "NOT_OBSERVED", "NOT_INGESTED"]
    assert lc.detected[:, 0].tolist() == [True, False, False, False]


def test_status_is_found_from_values():
    """Where nobody says better, a value is a detection, a NaN is not, and a value with a limit stays a detection."""
    values, limits = np.array([1.0, 2.0, np.inf]), np.array([20.0, np.nan, np.nan])

    assert find_status(values, limits).tolist() == [Status.DETECTED, Status.DETECTED, Status.NOT_OBSERVED]
    assert find_status(values).dtype == np.uint8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time": np.arange(3.0)}, r"shape \(4, 3\), epochs and measurements are \(3, 3\)"),
        ({"status": np.zeros((4, 1), "u1")}, "status has shape"),
        ({"epoch": np.arange(9)}, "epoch has 9 values, there are 4"),
        ({"offset": np.zeros(2)}, "offset has 2 values, there are 4"),
        ({"measurements": (R, R, G1)}, "3 measurements, 2 names"),
    ],
    ids=["time", "status", "epoch", "offset", "names"],
)
def test_arrays_that_do_not_fit_are_refused(changes, message):
    """Both shapes are named."""
    with pytest.raises(InvalidInputError, match=message):
        make(**changes)


def test_an_empty_light_curve_is_one():
    """An object before its first epoch."""
    lc = make(time=np.empty(0), arrays={"flux": np.empty((0, 3)), "flux_err": np.empty((0, 3))})

    assert (len(lc), lc.detected.shape, lc.sort().select("g").status.shape) == (0, (0, 3), (0, 2))
