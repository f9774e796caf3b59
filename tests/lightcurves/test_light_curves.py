"""light_curves.py: many objects at once."""

from __future__ import annotations

import numpy as np
import pytest

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.light_curves import LightCurves
from zarrmill.lightcurves.photometry import Measurement


def make(**changes) -> LightCurves:
    """Return two objects at three epochs in two bands."""
    arrays = {"flux": np.arange(12.0).reshape(2, 3, 2), "flux_err": np.ones((2, 3, 2))}
    fields = {
        "keys": np.array(["a", "b"]),
        "time": np.array([1.0, 2.0, 3.0]),
        "measurements": (Measurement("g"), Measurement("r")),
        "arrays": arrays,
        "columns": {"ra": np.array([10.0, 20.0]), "dec": np.array([-1.0, 1.0]), "period": np.array([0.5, 0.7])},
        "flag_masks": {"edge": 1},
    }
    return LightCurves(**(fields | changes))


def test_one_of_many_has_what_is_its_own():
    """Values, key, place and columns of the object; times and measurements of all."""
    lc = make()[1]

    assert (lc.key, lc.ra, lc.dec, dict(lc.columns), dict(lc.flag_masks)) == (
        "b",
        20.0,
        1.0,
        {"period": 0.7},
        {"edge": 1},
    )
    np.testing.assert_array_equal(lc["flux"], [[6, 7], [8, 9], [10, 11]])
    assert [lc.key for lc in make()] == ["a", "b"]
    assert make()[-1].key == "b"


def test_offsets_are_added_to_the_times():
    """Each object sees an epoch at its own time; an offset that is unknown adds nothing."""
    offset = np.array([[0.0, 0.0, 0.0], [86400.0, 43200.0, np.nan]])

    assert make(offset=offset)[1].time.tolist() == [2.0, 2.5, 3.0]
    assert make(offset=offset)[0].time.tolist() == [1.0, 2.0, 3.0]


def test_select_keeps_the_objects():
    """A measurement or a band of all of them."""
    selected = make().select("r")

    assert (selected.names, selected["flux"].shape, selected.status.shape) == (("r",), (2, 3, 1), (2, 3, 1))


def test_a_position_beyond_the_end_is_an_index_error():
    """As of any sequence."""
    with pytest.raises(IndexError):
        make()[2]


def test_unknown_names_and_shapes_are_refused():
    """What is wrong is named with what would be right."""
    with pytest.raises(KeyError, match="Did you mean 'flux'"):
        make()["fluxx"]
    with pytest.raises(KeyError, match="no measurement or band 'u'"):
        make().select("u")
    with pytest.raises(InvalidInputError, match=r"are \(2, 4, 2\)"):
        make(time=np.arange(4.0))
