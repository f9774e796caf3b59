"""The survey made of real light curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

from zarrmill.demo.macho import Curve, Star
from zarrmill.demo.survey import NEAR, Survey, create_survey_store, observe, plan_survey, write_epoch
from zarrmill.errors import InvalidInputError


def make_star(name: str, bands: dict[str, float]) -> Star:
    """Return a star whose magnitude in a band counts up from a start, seen every third day."""
    time = np.arange(0.0, 60.0, 3.0)
    curves = {band: Curve(time, start + np.arange(20) / 10, np.full(20, 0.25)) for band, start in bands.items()}
    return Star(name, 75.0, -69.5, curves)


STARS = (make_star("both", {"B": -6.0, "R": -4.0}), make_star("red", {"R": -2.0}))


def make_survey(stars: tuple[Star, ...] = STARS, *, objects: int = 40, epochs: int = 20, seed: int = 7) -> Survey:
    """Return a small survey."""
    return plan_survey(stars, objects=objects, epochs=epochs, seed=seed)


def observe_all(survey: Survey) -> tuple[np.ndarray, np.ndarray]:
    """Return all magnitudes and errors as (object, band, epoch)."""
    magnitudes, errors = zip(*observe(survey), strict=True)
    return np.stack(magnitudes, axis=-1), np.stack(errors, axis=-1)


def test_the_seed_decides() -> None:
    """The same seed gives the same survey, another seed another one."""
    first, again, other = (observe_all(make_survey(seed=seed))[0] for seed in (7, 7, 8))

    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other, equal_nan=True)


def test_an_unchanged_star_shows_its_own_measurements() -> None:
    """Without shift, stretch and offset each epoch shows the real value of that date."""
    survey = make_survey()
    plain = Survey(survey.stars, survey.times, np.zeros(1, np.int16), np.zeros(1), np.ones(1), np.zeros(1))

    magnitude, error = observe_all(plain)

    # The last date is the first again: time wraps around at the end of the survey.
    np.testing.assert_allclose(magnitude[0, 0, :-1], STARS[0].curves["B"].magnitude[:-1], rtol=1e-6)
    np.testing.assert_allclose(magnitude[0, 1, :-1], STARS[0].curves["R"].magnitude[:-1], rtol=1e-6)
    assert (error == 0.25).all()


def test_each_value_is_the_nearest_real_one_or_nothing() -> None:
    """Brute force over objects, bands and epochs."""
    survey = make_survey()
    magnitude, error = observe_all(survey)
    length = np.ptp(survey.times)

    for (index, band, epoch), value in np.ndenumerate(magnitude):
        star = STARS[survey.star[index]]
        curve = star.curves.get("BR"[band])
        wanted = survey.times[0] + (survey.times[epoch] - survey.times[0] + survey.shift[index]) % length
        distance = np.abs(curve.time - wanted) if curve else np.array([np.inf])
        if distance.min() > NEAR:
            assert np.isnan(value)
            assert np.isnan(error[index, band, epoch])
            continue
        assert curve is not None
        middle = np.median(curve.magnitude)
        stretched = middle + (curve.magnitude[distance.argmin()] - middle) * survey.stretch[index]
        assert value == pytest.approx(stretched + survey.offset[index], abs=6e-4)
        assert error[index, band, epoch] == 0.25


def test_some_nights_and_a_band_are_missing() -> None:
    """A date between two real ones is not observed, nor a star in a band that it has not."""
    magnitude, _ = observe_all(make_survey())

    assert 0 < np.isnan(magnitude[:, 1]).mean() < 1
    assert np.isnan(magnitude[make_survey().star == 1, 0]).all()


@pytest.mark.parametrize(("objects", "epochs"), [(0, 5), (5, 0), (5, 21)], ids=["no object", "no epoch", "21 of 20"])
def test_impossible_surveys_are_refused(objects: int, epochs: int) -> None:
    """The message has what was asked for and what would do."""
    with pytest.raises(InvalidInputError, match=rf"{objects} objects and {epochs} epochs .* 1 to 20 epochs"):
        make_survey(objects=objects, epochs=epochs)


@pytest.mark.parametrize("epochs", [1, 2], ids=["one", "two"])
def test_few_epochs_will_do(epochs: int) -> None:
    """The smallest surveys work."""
    magnitude, _ = observe_all(make_survey(epochs=epochs))

    assert magnitude.shape == (40, 2, epochs)


def test_the_store_holds_the_survey(tmp_path: Path) -> None:
    """Written epoch by epoch, one epoch per chunk; read back equal, with names, units and times."""
    survey = make_survey()
    arrays = create_survey_store(tmp_path / "survey.zarr", survey)
    for index, epoch in enumerate(observe(survey)):
        write_epoch(arrays, index, epoch)

    group = zarr.open_group(tmp_path / "survey.zarr", mode="r")
    for name, values in zip(("magnitude", "magnitude_err"), observe_all(survey), strict=True):
        array = group[name]
        assert array.chunks == (40, 2, 1)
        assert array.metadata.dimension_names == ("object", "band", "epoch")
        assert (array.attrs["units"], array.attrs["bands"]) == ("mag", ["B", "R"])
        np.testing.assert_array_equal(array[:], values)
    np.testing.assert_array_equal(group["time"][:], survey.times)
    np.testing.assert_array_equal(group["star"][:], survey.star)
    assert group["star"].attrs["names"] == ["both", "red"]
    assert sum(array.nbytes for array in arrays) == survey.nbytes
