"""Times as they are stored."""

from __future__ import annotations

import doctest

import h5py
import numpy as np
import pytest

from zarrmill.recordings import timestamps
from zarrmill.recordings.hdf5 import Hdf5File
from zarrmill.recordings.problems import Findings
from zarrmill.recordings.timestamps import find_runs, read_times
from zarrmill.testing import START


def _read(tmp_path, values, rows, checked=(0, 1)):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["times"] = values
    findings = Findings()
    with Hdf5File(tmp_path / "a.h5") as file:
        found = read_times(
            file.dataset("times"), rows, columns=("server", "client"), checked=checked, findings=findings
        )
    return found, [(problem.code, problem.row) for problem in findings.sorted()]


def test_examples_run():
    """What the docstrings show is so."""
    assert doctest.testmod(timestamps).failed == 0


def test_whole_times_stay(tmp_path):
    """Whole numbers become floats, and nothing is reported."""
    values = START + np.arange(6).reshape(3, 2)
    found, problems = _read(tmp_path, values.astype(np.int64), 3)

    np.testing.assert_array_equal(found, values)
    assert problems == []


def test_runs_of_missing_times_are_one_problem_each(tmp_path):
    """NaN, infinite, zero and negative are missing, by clock."""
    values = np.full((6, 2), START)
    values[1:4, 1] = (np.nan, np.inf, 0)
    values[5] = (-1, -np.inf)
    found, problems = _read(tmp_path, values, 6)

    assert np.isnan(found).tolist() == (values != START).tolist()
    assert problems == [("missing_time", 1), ("missing_time", 5), ("missing_time", 5)]


def test_odd_times_are_kept(tmp_path):
    """Seconds in place of milliseconds are reported and not changed."""
    values = np.array([[START, START / 1000]])
    found, problems = _read(tmp_path, values, 1)

    np.testing.assert_array_equal(found, values)
    assert problems == [("odd_time", 0)]


@pytest.mark.parametrize(
    ("values", "code", "row"),
    [
        (np.full((2, 2), START), "too_short", 2),
        (np.full((5, 2), START), "too_long", 3),
        (np.full((3, 3), START), "wrong_shape", -1),
        (np.full(3, START), "wrong_shape", -1),
        (np.array([b"soon"] * 3), "wrong_type", -1),
        (np.float64(START), "wrong_shape", -1),
    ],
    ids=["short", "long", "three columns", "flat", "text", "single"],
)
def test_shapes_come_first(tmp_path, values, code, row):
    """The result has the rows asked for, whatever the file has, with NaN for what is not there."""
    found, problems = _read(tmp_path, values, 3)

    assert found.shape == (3, 2)
    assert problems == [(code, row)]
    assert not np.any(found == 0)


def test_clocks_that_are_not_checked_stay(tmp_path):
    """Only the columns asked for are looked at."""
    values = np.array([[np.nan, START], [0.0, START]])
    found, problems = _read(tmp_path, values, 2, checked=(1,))

    np.testing.assert_array_equal(found, values)
    assert problems == []


def test_runs_at_both_ends():
    """Runs may touch the ends, and there may be none."""
    assert list(find_runs(np.array([True, True, False, True]))) == [(0, 1), (3, 3)]
    assert list(find_runs(np.zeros(0, dtype=bool))) == []
