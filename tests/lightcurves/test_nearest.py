"""nearest.py: what was meant."""

from __future__ import annotations

import pytest

from zarrmill.lightcurves.nearest import find_nearest, unknown_name


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("flx", ["time", "flux", "flux_err"], ("flux",)),
        ("MAGERR", ["mag_err", "flux"], ("mag_err",)),
        (12, [99, 1, 15, 10, 11], (11, 10, 15)),
        (10, [8, 12], (8, 12)),
        (5, [], ()),
        ("zzz", ["flux"], ()),
    ],
    ids=["text", "case", "number", "tie", "nothing", "unlike"],
)
def test_find_nearest(name, known, expected):
    """Text by likeness whatever its case, numbers by distance and the smaller of two as near."""
    assert find_nearest(name, known) == expected


@pytest.mark.parametrize(
    ("name", "known", "message"),
    [
        ("flx", ["flux", "time"], "night.fits: there is no column 'flx'. Did you mean 'flux'?"),
        ("qqq", ["flux", "time"], "night.fits: there is no column 'qqq'. There are 'flux' and 'time'."),
        ("qqq", [], "night.fits: there is no column 'qqq'. There is none at all."),
    ],
    ids=["near", "far", "none"],
)
def test_the_error_says_where_and_what_there_is(name, known, message):
    """One line, shown as it is although it is a KeyError."""
    error = unknown_name(name, known, what="column", where="night.fits")

    assert isinstance(error, KeyError)
    assert str(error) == message


def test_a_long_list_is_cut():
    """Forty names help nobody."""
    error = unknown_name("qqq", [f"column_{i}" for i in range(40)], what="column", where="x")

    assert str(error).endswith("'column_9' and more.")
