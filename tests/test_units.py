"""units.py: sizes and durations as people write them, there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrmill.errors import InvalidInputError
from zarrmill.units import format_bytes, format_seconds, parse_bytes, parse_sizes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (4096, 4096),
        (1e9, 10**9),
        ("4096", 4096),
        ("1kB", 1000),
        ("1KiB", 1024),
        ("1k", 1000),
        ("2 GiB", 2 * 2**30),
        ("1.5MB", 1_500_000),
        (".5 GiB", 2**29),
        (" 3tib ", 3 * 2**40),
    ],
    ids=str,
)
def test_parse_bytes_knows_decimal_and_binary_units(text, expected):
    """kB is 1000 bytes, KiB is 1024; case and spaces do not matter."""
    assert parse_bytes(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "lots", "12 parsecs", "-1GiB", "0", 0, -5, "1e9", "GiB", "1..5MB", "0.5", "1e30TB", float("nan")],
    ids=repr,
)
def test_parse_bytes_refuses_what_is_no_size(text):
    """Anything that is not a positive number with a unit is bad input, and the message shows how to write one."""
    with pytest.raises(InvalidInputError, match="512MiB"):
        parse_bytes(text)


@given(st.integers(1, 2**50))
def test_format_bytes_is_close_and_readable(number):
    """What is shown is within 6 per cent of the number, below 1024.05 of its unit, and can be read back."""
    shown = format_bytes(number)

    assert abs(parse_bytes(shown) - number) <= 0.06 * number
    assert float(shown.split()[0]) <= 1024


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0314, "0.03 s"),
        (9.5, "9.50 s"),
        (12.4, "12 s"),
        (75, "1 min 15 s"),
        (3599.7, "1 h 0 min"),
        (7380, "2 h 3 min"),
    ],
    ids=str,
)
def test_format_seconds_chooses_the_unit(seconds, expected):
    """Short times have hundredths, long ones hours and minutes; 60 of a unit are one of the next."""
    assert format_seconds(seconds) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("object=1,epoch=-1", {"object": 1, "epoch": -1}),
        (" object = 1 , epoch=-1,", {"object": 1, "epoch": -1}),
        ("1,-1,2", (1, -1, 2)),
        ("5", (5,)),
    ],
    ids=repr,
)
def test_parse_sizes_by_dimension_or_axis(text, expected):
    """Names with = give sizes by dimension, plain numbers sizes by axis."""
    assert parse_sizes(text) == expected


@pytest.mark.parametrize("text", ["", ",", "a=1,2", "a=b", "1,x", "a==1"], ids=repr)
def test_parse_sizes_refuses_a_mixture(text):
    """A list is by dimension or by axis, never both, and sizes are whole numbers."""
    with pytest.raises(InvalidInputError, match="by dimension"):
        parse_sizes(text)
