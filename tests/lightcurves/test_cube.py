"""lightcurves/cube.py: many objects of one shard together are what each is alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.lightcurves.survey import OBJECTS, Survey, make_epoch, time_of
from zarrmill.errors import SourceFormatError


@pytest.fixture
def gaps(survey) -> Survey:
    """A survey with epochs missing from its blocks, objects that were never seen, and others that came later."""
    for index in (0, 2, 4):
        epoch = make_epoch(index)
        for values in epoch.values():
            values[[3, 40]] = np.nan
        survey.storage.populate_epoch(index, epoch, time=time_of(index))
    survey.storage.relayout()
    survey.storage.add_objects(20)
    return survey


def test_many_objects_are_what_each_is_alone(gaps: Survey) -> None:
    """Whatever is asked for, in any order and again and again; where nothing is stored there is the fill value."""
    random = np.random.default_rng(1)
    for count in (1, 2, 30, 200):
        wanted = random.integers(0, OBJECTS + 20, count)
        curves = gaps.storage.get_lightcurves(wanted)
        for number, curve in zip(wanted.tolist(), curves, strict=True):
            single = gaps.storage.get_lightcurve(number)
            for name in ("flux", "flux_err"):
                np.testing.assert_array_equal(curve[name], single[name])
            np.testing.assert_array_equal(curve.status, single.status)
    never = gaps.storage.get_lightcurves([3, 40, OBJECTS + 5])
    assert np.isnan(never["flux"]).all()
    assert never.status[:, :, 0].tolist() == [[1] * 3, [1] * 3, [0] * 3]


def test_nothing_asked_for_is_nothing_found(gaps: Survey) -> None:
    """An empty list of objects has the epochs all the same."""
    curves = gaps.storage.get_lightcurves([])
    assert curves["flux"].shape == (0, 3, 2)


def test_a_damaged_object_is_named(make_survey) -> None:
    """By its place, among many that are sound; the others are read without it."""
    survey = make_survey()
    survey.add(0, 1)
    survey.storage.relayout()
    path = Path(survey.path, "by_object", "flux", "c.1.0.0")
    data = bytearray(path.read_bytes())
    data[5] ^= 4
    path.write_bytes(data)
    storage = survey.reopened()

    with pytest.raises(SourceFormatError, match=r"flux/c.1.0.0: object 32 cannot be decoded: checksum"):
        storage.get_lightcurves(np.arange(20, 60))
    survey.check(*range(33, 64), storage=storage)
    assert storage.get_lightcurves(np.arange(33, 64))["flux"].shape == (31, 2, 2)
