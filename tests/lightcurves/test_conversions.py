"""conversions.py: what other libraries take."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.light_curve import LightCurve, Status
from zarrmill.lightcurves.photometry import Measurement

TIME = np.array([60002.25, 60000.5, 60001.75])
STATUS = np.array([[3, 2], [3, 1], [0, 0]], dtype=np.uint8)


def make(**changes) -> LightCurve:
    """Return three epochs of a flux in g and in r: not detected, not observed and not ingested in places."""
    nan = np.nan
    arrays = {
        "flux": np.array([[575.0, nan], [100.0, nan], [nan, nan]], dtype="f4"),
        "flux_err": np.array([[5.0, nan], [2.0, nan], [nan, nan]], dtype="f4"),
        "limit": np.array([[nan, 50.0], [nan, nan], [nan, nan]], dtype="f4"),
        "flag": np.array([[0, 4], [1, 0], [0, 0]], dtype="u2"),
    }
    measurements = Measurement("g", unit="nJy"), Measurement("r", unit="nJy")
    fields = {"key": "a7", "time": TIME, "measurements": measurements, "arrays": arrays, "status": STATUS}
    return LightCurve(**(fields | {"scale": "tdb", "ra": 150.1, "dec": 2.2} | changes))


def test_magnitudes_and_fluxes_there_and_back():
    """Values, errors and limits survive; flags and the three absences are untouched."""
    lc = make()
    magnitudes = lc.to_magnitudes()
    again = magnitudes.to_fluxes()

    assert magnitudes["flux"][0, 0] == pytest.approx(24.5, abs=1e-3)
    assert {(m.kind, m.unit, m.zero_point) for m in magnitudes.measurements} == {("magnitude", "mag", 31.4)}
    assert magnitudes["limit"][0, 1] == pytest.approx(31.4 - 2.5 * np.log10(50), abs=1e-3)
    for name in ("flux", "flux_err", "limit"):
        np.testing.assert_allclose(again[name], lc[name], rtol=1e-4)
    np.testing.assert_array_equal(again["flag"], lc["flag"])
    np.testing.assert_array_equal(again.status, lc.status)


def test_a_negative_flux_is_a_magnitude_not_detected():
    """What has no magnitude was observed all the same."""
    flux = np.array([[100.0], [-3.0]])
    lc = LightCurve(
        key=1,
        time=TIME[:2],
        measurements=(Measurement("g", zero_point=25.0),),
        arrays={"flux": flux, "flux_err": np.ones((2, 1))},
    )

    assert lc.to_magnitudes().status[:, 0].tolist() == [Status.DETECTED, Status.NOT_DETECTED]
    assert lc.status[:, 0].tolist() == [Status.DETECTED, Status.DETECTED]


def test_without_a_zero_point_there_is_no_conversion():
    """The measurement is named."""
    with pytest.raises(InvalidInputError, match="measurement 'r': no zero point"):
        make(measurements=(Measurement("g", unit="nJy"), Measurement("r", unit="adu"))).to_magnitudes()


def test_what_is_of_the_kind_is_left_alone():
    """Magnitudes without a zero point are magnitudes."""
    lc = make(measurements=(Measurement("g", kind="magnitude"), Measurement("r", kind="magnitude")))

    np.testing.assert_array_equal(lc.to_magnitudes()["flux"], lc["flux"])


def test_times_are_astropy_times_of_the_scale():
    """To the last bit of the date."""
    pytest.importorskip("astropy")
    times = make().times

    assert (times.scale, times.format) == ("tdb", "mjd")
    np.testing.assert_array_equal(times.mjd, TIME)


def test_pandas_has_a_row_per_value():
    """What was not taken is left out unless asked for; flags stay integers."""
    pytest.importorskip("pandas")
    taken, everything = make().to_pandas(), make().to_pandas(missing=True)

    assert taken[["epoch", "measurement", "status"]].to_numpy().tolist() == [
        [0, "g", "detected"],
        [0, "r", "not detected"],
        [1, "g", "detected"],
    ]
    assert taken["flag"].dtype == np.dtype("u2")
    assert taken["limit"].tolist()[1] == 50.0
    assert list(everything["status"].iloc[3:]) == ["not observed", "not ingested", "not ingested"]
    assert everything["time"].tolist() == np.repeat(TIME, 2).tolist()


def test_xarray_has_the_axes_and_units():
    """A Dataset selects by measurement and tells what a status means."""
    pytest.importorskip("xarray")
    dataset = make().to_xarray()

    assert dict(dataset.sizes) == {"epoch": 3, "measurement": 2}
    assert dataset["flux"].attrs == {"units": "nJy"}
    assert dataset["flag"].attrs == {}
    assert dataset["flux"].sel(measurement="g").values.tolist() == pytest.approx([575, 100, np.nan], nan_ok=True)
    assert dataset["status"].attrs["flag_meanings"].split()[2] == "not_detected"
    assert (dataset.attrs["object"], dataset["time"].attrs["time_scale"]) == ("a7", "tdb")


def test_measurements_of_different_units_have_none_in_common():
    """An attribute that is wrong for half of the values is worse than none."""
    pytest.importorskip("xarray")
    mixed = make(measurements=(Measurement("g", unit="nJy"), Measurement("r", unit="mag", kind="magnitude")))

    assert "units" not in mixed.to_xarray()["flux"].attrs


def test_a_timeseries_is_in_order_and_masked():
    """Epochs that were not ingested are left out, missing values masked, flags integers, units kept."""
    pytest.importorskip("astropy")
    series = make().to_timeseries()

    assert series.time.mjd.tolist() == [60000.5, 60002.25]
    assert series["flux_g"].unit == "nJy"
    assert series["flux_g"].unmasked.value.tolist() == [100.0, 575.0]
    assert series["flux_r"].mask.tolist() == [True, True]
    assert series["flag_g"].tolist() == [1, 0]
    assert series["status_r"].tolist() == [Status.NOT_OBSERVED, Status.NOT_DETECTED]


# lightkurve says at its import that an optional part of it is not there.
@pytest.mark.filterwarnings("ignore:Warning. the tpfmodel submodule is not available:UserWarning")
def test_lightkurve_takes_one_measurement():
    """Fluxes in order of time with their unit; of several measurements one must be named."""
    if importlib.util.find_spec("lightkurve") is None:
        pytest.skip("lightkurve is not installed; it does not go with pandas 3")
    curve = make().to_lightkurve("g")

    assert curve.time.mjd.tolist() == [60000.5, 60002.25]
    assert curve["flux"].value.tolist() == [100.0, 575.0]
    assert curve["flux"].unit == "nJy"
    assert curve.meta["LABEL"] == "a7"
    assert len(curve.fold(period=1.0)) == 2


def test_lightkurve_of_several_measurements_is_refused():
    """Before lightkurve is even looked for."""
    with pytest.raises(InvalidInputError, match=r"takes one measurement, there are 2\. Name one of g, r"):
        make().to_lightkurve()


def test_a_missing_library_names_what_to_install(monkeypatch):
    """One line with the command; lightkurve is too heavy for the extra."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "lightkurve", None)
    pytest.importorskip("astropy")

    with pytest.raises(ModuleNotFoundError, match=r"pandas is needed.*pip install 'zarrmill\[lightcurves\]'"):
        make().to_pandas()
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'lightkurve'"):
        make().to_lightkurve("g")
