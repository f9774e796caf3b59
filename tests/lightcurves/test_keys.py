"""keys.py: rows and objects by key."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.keys import KeyMatcher

INTEGERS = st.integers(-(2**62), 2**62)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8).filter(
    lambda text: text.rstrip() == text
)


@pytest.mark.parametrize("element", [INTEGERS, TEXT], ids=["numbers", "text"])
@given(data=st.data())
def test_a_match_is_what_a_dict_finds(element, data):
    """Each row has the object of its key, the first row of a key at that, whatever the keys."""
    keys = data.draw(st.lists(element, min_size=1, max_size=20, unique=True))
    rows = data.draw(st.lists(st.one_of(st.sampled_from(keys), element), max_size=30))
    match = KeyMatcher.build(keys).match(rows)
    position = {key: i for i, key in enumerate(keys)}
    first = [row not in rows[:i] for i, row in enumerate(rows)]

    expected = [position.get(row, -1) if new else -1 for row, new in zip(rows, first, strict=True)]
    assert match.objects.tolist() == expected
    assert match.duplicate.tolist() == [i for i, row in enumerate(rows) if row in position and not first[i]]
    assert match.unmatched.tolist() == [i for i, row in enumerate(rows) if row not in position]
    assert len(match.ambiguous) == 0


@pytest.mark.parametrize(
    ("keys", "rows", "expected"),
    [
        ([1, 2, 30], ["30", "1", "03", "x", "-1", "9" * 30], [2, 0, -1, -1, -1, -1]),
        (["1", "2", "a"], [2, 1, 7], [1, 0, -1]),
        ([1, 2], np.array([2.0, 1.0]), [1, 0]),
        (["ab", "c"], np.array([b"c   ", b"ab"]), [1, 0]),
        (["ab", "c"], np.array(["c", "ab"], dtype=object), [1, 0]),
        ([], [1, 2], [-1, -1]),
    ],
    ids=["text for numbers", "numbers for text", "whole floats", "padded bytes", "objects", "no objects"],
)
def test_keys_are_written_in_several_ways(keys, rows, expected):
    """FITS pads with blanks, CSV knows no types; 03 is not 3."""
    assert KeyMatcher.build(keys).match(rows).objects.tolist() == expected


def test_objects_with_one_key_are_named():
    """A row could not know which is meant."""
    with pytest.raises(InvalidInputError, match=r"1 keys come more than once, the first 7 at rows 1 and 3"):
        KeyMatcher.build([5, 7, 9, 7])


@pytest.mark.parametrize(
    "rows",
    [
        np.ma.array([1, 2, 3], mask=[False, True, False]),
        np.array([1.0, np.nan, 3.0]),
        np.array([1.0, 2.5, 3.0]),
        np.array(["1", "", "3"]),
        np.array(["1", None, "3"], dtype=object),
    ],
    ids=["masked", "NaN", "not whole", "empty", "None"],
)
def test_rows_without_a_key_are_named(rows):
    """They could belong to any object."""
    with pytest.raises(InvalidInputError, match=r"night: 1 of 3 rows have no whole or written key, the first at 1\."):
        KeyMatcher.build([1, 2, 3]).match(rows, where="night")


@pytest.mark.parametrize(
    "keys", [np.array([True, False]), np.array([2**63], "u8"), np.array(["2024"], "M8[Y]")], ids=str
)
def test_other_kinds_of_keys_are_refused(keys):
    """Whole numbers of 64 bits or text."""
    with pytest.raises(InvalidInputError, match="whole numbers below"):
        KeyMatcher.build(keys)
