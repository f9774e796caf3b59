"""lightcurves/growth.py: more objects, of every kind of key."""

from __future__ import annotations

import numpy as np
import pytest

from tests.lightcurves.survey import make_epoch
from zarrmill.errors import InvalidInputError, LockedError, UnknownNameError
from zarrmill.lightcurves.lock import Lock
from zarrmill.lightcurves.storage import LightcurveStorage

CATALOGUE = {"key": ["b", "d"], "ra": [1.0, 2.0], "dec": [0.0, 0.0], "period": [0.5, 1.5], "name": ["x", "y"]}


@pytest.fixture
def storage(place) -> LightcurveStorage:
    """A store of two objects by text with positions."""
    return LightcurveStorage.create(place, catalogue=CATALOGUE, measurements=2)


def test_new_objects_follow_those_that_are_there(storage: LightcurveStorage, place) -> None:
    """They are found by key, with all of their columns; what is missing is NaN or empty."""
    assert storage.add_objects({"key": ["c", "a"], "ra": [3.0, 4.0], "dec": [5.0, 6.0]}) == 2
    for each in (storage, LightcurveStorage.open(place)):
        assert each.indices_of(["a", "b", "c", "d"]).tolist() == [3, 0, 2, 1]
        assert each.objects["key"].tolist() == ["b", "d", "c", "a"]
        assert each.objects["ra"].tolist() == [1.0, 2.0, 3.0, 4.0]
        np.testing.assert_array_equal(each.objects["period"], [0.5, 1.5, np.nan, np.nan])
        assert each.objects["name"].tolist() == ["x", "y", "", ""]
    storage.populate_epoch("one", {"flux": make_epoch(0, n_objects=4)["flux"]})
    assert storage.get_lightcurve("a").dec == 6.0


def test_many_additions(place) -> None:
    """A store grows again and again, and an old reader finds the new objects when it looks."""
    storage = LightcurveStorage.create(place, catalogue={"key": [10]})
    other = LightcurveStorage.open(place)
    other.get_lightcurve(10)
    for i in range(4):
        storage.add_objects({"key": [i, 100 + i]})
    other.refresh()
    assert other.indices_of([10, 0, 100, 1, 101, 2, 102, 3, 103]).tolist() == list(range(9))
    assert storage.verify().sound


def test_counted_objects_go_on_counting(place) -> None:
    """A number, or the keys that come next."""
    storage = LightcurveStorage.create(place, n_objects=2)
    assert (storage.add_objects(3), storage.add_objects({"key": [5]})) == (3, 1)
    assert storage.info().objects == 6
    with pytest.raises(InvalidInputError, match="the next is 6"):
        storage.add_objects({"key": [9]})


BAD = {
    "there already": ({"key": ["e", "b"], "ra": [0, 0], "dec": [0, 0]}, InvalidInputError, "'b'"),
    "twice": ({"key": ["e", "e"], "ra": [0, 0], "dec": [0, 0]}, InvalidInputError, "'e' comes 2 times"),
    "numbers": ({"key": [1], "ra": [0], "dec": [0]}, InvalidInputError, "are int, those of the store are text"),
    "no position": ({"key": ["e"]}, InvalidInputError, "have no ra"),
    "NaN position": ({"key": ["e"], "ra": [np.nan], "dec": [0]}, InvalidInputError, "ra nan of object 'e'"),
    "unknown column": ({"key": ["e"], "ra": [0], "dec": [0], "perod": [1]}, UnknownNameError, "'perod'.*'period'"),
    "text for numbers": (
        {"key": ["e"], "ra": [0], "dec": [0], "period": ["x"]}, InvalidInputError, "column 'period' is <U1"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("catalogue", "error", "message"), BAD.values(), ids=BAD)
def test_objects_that_cannot_be_added(storage: LightcurveStorage, catalogue, error, message) -> None:
    """Nothing is changed."""
    before = storage.info()
    with pytest.raises(error, match=message):
        storage.add_objects(catalogue)
    assert storage.info() == before
    assert storage.verify().sound


def test_one_addition_at_a_time(storage: LightcurveStorage) -> None:
    """While something else changes the store, an addition is refused."""
    with Lock(storage._view.keys), pytest.raises(LockedError):
        storage.add_objects({"key": ["e"], "ra": [0], "dec": [0]})
