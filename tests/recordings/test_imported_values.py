"""Fields of old event files get the types of their columns, or are missing."""

from __future__ import annotations

import numpy as np
import pytest

from zarrmill.recordings.imported_values import Fields, read_fields
from zarrmill.recordings.schema import TABLES

TASK = TABLES["task"]


def read(name, value, dtype):
    """Return one value of a task's field."""
    return read_fields(TASK, np.array([(value,)], dtype=[(name, dtype)]), path="tasks", segment_type=None)


VALUES = {
    "bytes": ("task_type", b"n\xc3\xa9", "S8", "né"),
    "bytes that are not UTF-8": ("task_type", b"n\xe9", "S8", "n\\xe9"),
    "text": ("task_type", "né", "U8", "né"),
    "empty text": ("task_type", "", "U8", None),
    "with the prefix": ("task_task_type", "a", "U8", "a"),
    "another name": ("type", "a", "U8", "a"),
    "time": ("start_time", 5.5, "f8", 5.5),
    "time of 0": ("start_time", 0.0, "f8", None),
    "infinite": ("start_time", np.inf, "f8", None),
    "integer as float": ("count", 3.0, "f8", 3),
    "negative": ("count", -1, "i4", None),
    "boolean": ("skipped", True, "?", True),
    "boolean as integer": ("skipped", 0, "i4", False),
    "2 as boolean": ("skipped", 2, "i4", None),
    "text as number": ("count", "x", "U8", None),
}


@pytest.mark.parametrize(("name", "value", "dtype", "expected"), VALUES.values(), ids=VALUES)
def test_values_have_the_types_of_columns(name, value, dtype, expected):
    """What a column cannot hold is missing."""
    found = read(name, value, dtype).found

    assert list(found.values()) == [[expected]]


FIELDS = {"name": ("colour", "i4"), "shape": ("count", "i4", (2,))}


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_fields_without_a_column_are_told(field):
    """They are left out."""
    found = read_fields(TASK, np.zeros(1, dtype=[field]), path="tasks", segment_type=None)

    assert found.found == {}
    assert [code for code, *_ in found.findings] == ["unknown_field"]


def test_arrays_of_other_fields_are_joined():
    """What one lacks is missing in its rows."""
    parts = [read("count", 3, "i4"), read("task_type", "a", "U1")]

    joined = Fields.join(TASK, parts)

    assert joined.values("count") == [3, None]
    assert joined.values("task_type") == [None, "a"]
    assert joined.places == [("tasks", 0), ("tasks", 0)]
