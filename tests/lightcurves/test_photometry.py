"""photometry.py: magnitudes and fluxes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.photometry import Measurement, to_flux, to_magnitude

MAGNITUDES = st.floats(-30, 40)


@given(MAGNITUDES, st.floats(1e-4, 1), MAGNITUDES)
def test_there_and_back_is_the_same(magnitude, error, zero_point):
    """A magnitude and its error survive the way through fluxes."""
    flux = to_flux(np.array(magnitude), np.array(error), zero_point=zero_point)
    again = to_magnitude(*flux, zero_point=zero_point)

    np.testing.assert_allclose(again, (magnitude, error), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("unit", "flux", "magnitude"),
    [("Jy", 3631.0, 0.0), ("mJy", 1.0, 16.4), ("uJy", 3631.0, 15.0), ("nJy", 575.4399, 24.5)],
    ids=["Jy", "mJy", "uJy", "nJy"],
)
def test_ab_magnitudes_of_flux_densities(unit, flux, magnitude):
    """3631 Jy is the zero point of the AB system, and 24.5 mag are 575 nJy."""
    m = Measurement("g", unit=unit)
    found, _ = to_magnitude(np.array(flux), np.array(1.0), zero_point=m.find_zero_point())

    assert found == pytest.approx(magnitude, abs=2e-3)


def test_a_flux_that_is_not_positive_has_no_magnitude():
    """Zero, negative and missing fluxes give NaN, in silence."""
    magnitude, error = to_magnitude(np.array([0.0, -3.0, np.nan]), np.ones(3), zero_point=25.0)

    assert np.isnan(magnitude).all()
    assert np.isnan(error).all()


def test_a_given_zero_point_beats_that_of_the_unit():
    """Calibration by hand comes first."""
    assert Measurement("g", unit="nJy", zero_point=27.0).find_zero_point() == 27.0


def test_no_zero_point_is_an_error_that_says_so():
    """Counts have no magnitude until somebody calibrates them."""
    with pytest.raises(InvalidInputError, match=r"measurement 'g'.*'adu'.*Set zero_point"):
        Measurement("g", unit="adu").find_zero_point()


@pytest.mark.parametrize("fields", [{"name": ""}, {"name": "g", "kind": "mag"}], ids=["no name", "unknown kind"])
def test_a_measurement_has_a_name_and_a_kind(fields):
    """Both are checked when it is made."""
    with pytest.raises(InvalidInputError):
        Measurement(**fields)


def test_the_band_is_the_name_unless_told():
    """One measurement per band needs no more words."""
    assert (Measurement("g").band, Measurement("g_ap1", "g").band) == ("g", "g")
