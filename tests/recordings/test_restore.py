"""Stored columns as people work with them: nothing is missing that is there, and nothing is there that is missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.recordings.scenes import FEW, START, scenes
from zarrmill.recordings.restore import to_datetimes, to_pandas, to_xarray
from zarrmill.recordings.schema import TABLES

pd = pytest.importorskip("pandas")
pytest.importorskip("xarray")


def stored(processed, table, column):
    """Return a stored column as a list in which None is missing."""
    values = processed.tables[table][column.name].tolist()
    if column.kind == "text":
        valid = processed.tables[table][f"{column.name}_valid"].tolist()
        return [value if there else None for value, there in zip(values, valid, strict=True)]
    if column.kind in ("time", "number"):
        return [None if value != value else value for value in values]
    missing = [None if value == -1 else value for value in values]
    return [None if value is None else value == 1 for value in missing] if column.kind == "flag" else missing


@FEW
@given(scenes())
def test_pandas_has_every_value_and_na_where_there_is_none(scene):
    """In types that know both, whatever is missing."""
    processed = scene.process()
    types = {
        "count": "Int32",
        "row": "Int32",
        "flag": "boolean",
        "text": "string",
        "time": "float64",
        "number": "float64",
    }
    for name, table in TABLES.items():
        frame = to_pandas(table, processed.tables[name], times="milliseconds").reset_index()
        for column in table.columns:
            if column.kind == "valid":
                continue
            found = [None if pd.isna(value) else value for value in frame[column.name]]
            assert found == stored(processed, name, column)
            assert frame[column.name].dtype == types.get(column.kind, "string")


@given(scenes())
def test_xarray_tells_every_value_from_what_is_missing(scene):
    """Counts and flags by the variable beside them."""
    processed = scene.process()
    for name, table in TABLES.items():
        dataset = to_xarray(table, processed.tables[name], times="milliseconds")
        for column in (one for one in table.columns if one.kind in ("count", "flag")):
            values = dataset[column.name].values.tolist()
            valid = dataset[f"{column.name}_valid"].values.tolist()
            found = [value if there else None for value, there in zip(values, valid, strict=True)]
            assert found == stored(processed, name, column)
            assert dataset[column.name].dtype == ("int32" if column.kind == "count" else "bool")


@given(st.lists(st.floats(-9e12, 9e12)))
def test_dates_are_exact_to_the_nanosecond(times):
    """A float64 of nanoseconds would be off by more than a hundred of them."""
    from fractions import Fraction

    found = to_datetimes(np.array(times, dtype=float)).astype(np.int64).tolist()

    for time, nanoseconds in zip(times, found, strict=True):
        assert abs(Fraction(time) * 10**6 - nanoseconds) <= Fraction(1, 2) + Fraction(1, 1000)


@pytest.mark.parametrize("time", [float("nan"), float("inf"), 1e30, -1e30])
def test_what_no_date_can_hold_is_none(time):
    """And does not wrap around."""
    assert np.isnat(to_datetimes(np.array([time, START]))).tolist() == [True, False]
