"""The start of a session in any unit."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest

from zarrmill.recordings import start_time
from zarrmill.recordings.problems import Findings
from zarrmill.recordings.start_time import check_start_time, recognise_start_time
from zarrmill.recordings.timestamps import EARLIEST, LATEST

MS = 1_750_000_000_123.0
FORMS = {
    "s": (MS / 1000, "s"),
    "ms": (MS, "ms"),
    "us": (int(MS) * 1000, "us"),
    "ns": (int(MS) * 1_000_000, "ns"),
    "numpy": (np.float64(MS), "ms"),
    "array of one": (np.array([MS]), "ms"),
    "digits": ("1750000000123", "ms"),
    "bytes": (np.bytes_(b"1750000000.123"), "s"),
    "ISO with Z": ("2025-06-15T15:06:40.123Z", "ISO"),
    "ISO with an offset": ("2025-06-15T17:06:40.123+02:00", "ISO"),
    "ISO without zone": ("2025-06-15 15:06:40.123", "ISO without zone"),
}


def test_examples_run():
    """What the docstrings show is so."""
    assert doctest.testmod(start_time).failed == 0


@pytest.mark.parametrize(("value", "unit"), FORMS.values(), ids=FORMS)
def test_every_form_is_recognised(value, unit):
    """The same moment in any form is the same milliseconds."""
    found = recognise_start_time(value)

    assert found is not None
    assert found[0] == pytest.approx(MS, abs=1e-3)
    assert found[1] == unit


@pytest.mark.parametrize(
    "value",
    [0, -1, math.nan, math.inf, True, "soon", "", b"\xff", np.array([1.0, 2.0]), np.array([]), "1850-01-01T00:00:00Z"],
    ids=["0", "negative", "NaN", "inf", "True", "word", "empty", "bytes", "two", "none", "long ago"],
)
def test_nonsense_is_no_time(value):
    """What is in no range is no time, and is never made one."""
    assert recognise_start_time(value) is None


def test_ranges_of_units_do_not_touch():
    """No number can be meant in two units."""
    assert LATEST < EARLIEST * 1000


CHECKS = {
    "at the first event": (MS, MS, []),
    "no events": (MS, math.nan, []),
    "an hour before": (MS - 3.6e6, MS, []),
    "two days before": (MS - 2 * 86_400_000, MS, ["start_time_disagrees"]),
    "an hour after": (MS + 3.6e6, MS, ["start_time_disagrees"]),
    "missing": (None, MS, ["no_start_time"]),
    "nonsense": ("soon", MS, ["bad_start_time"]),
    "without zone": ("2025-06-15T15:06:40", MS, ["start_time_without_zone"]),
    "without zone, hours off": ("2025-06-15T17:06:40", MS, ["start_time_disagrees", "start_time_without_zone"]),
}


@pytest.mark.parametrize(("value", "first", "codes"), CHECKS.values(), ids=CHECKS)
def test_the_start_is_checked_against_the_first_event(value, first, codes):
    """What is odd is reported, and a start that is a time is kept."""
    findings = Findings()
    found, _ = check_start_time(value, first_event=first, findings=findings)

    assert sorted(problem.code for problem in findings.sorted()) == codes
    assert math.isnan(found) == (value is None or value == "soon")
