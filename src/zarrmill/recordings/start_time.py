"""The start of a session, whose unit nobody wrote down: recognised by range, and checked against the first event."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np

from zarrmill.recordings.problems import Findings
from zarrmill.recordings.texts import decode
from zarrmill.recordings.timestamps import EARLIEST, LATEST

PATH = "metadata"
"""Group whose attribute ``start_time`` it is."""
UNITS = {"s": 1000.0, "ms": 1.0, "us": 1e-3, "ns": 1e-6}
"""Milliseconds in one of a unit. No two units share a range, as 2100 is less than five times 2000 since 1970."""
NEAR_BEFORE, NEAR_AFTER = 86_400_000.0, 60_000.0
"""A start lies up to a day before the first event, or a minute after it, as clocks differ."""


def recognise_start_time(value: Any) -> tuple[float, str] | None:
    """Return epoch milliseconds and the unit that the value was in, None where it is no time.

    >>> recognise_start_time(1.7e9), recognise_start_time("1700000000000"), recognise_start_time(1_700_000_000_000_000)
    ((1700000000000.0, 's'), (1700000000000.0, 'ms'), (1700000000000.0, 'us'))
    >>> recognise_start_time("2023-11-14T22:13:20Z"), recognise_start_time("2023-11-14 22:13:20")
    ((1700000000000.0, 'ISO'), (1700000000000.0, 'ISO without zone'))
    >>> recognise_start_time(0), recognise_start_time("soon")
    (None, None)
    """
    plain = _to_plain(value)
    if isinstance(plain, str):
        return _recognise_text(plain.strip())
    return _recognise_number(plain) if isinstance(plain, int | float) else None


def check_start_time(value: Any, *, first_event: float, findings: Findings) -> tuple[float, str]:
    """Return epoch milliseconds (NaN where there are none) and the unit, and report what is odd.

    ``first_event`` is the earliest time of any event, NaN without one.
    """
    if value is None:
        findings.add("no_start_time", PATH, "there is no attribute start_time; the start is not known")
        return math.nan, ""
    found = recognise_start_time(value)
    if found is None:
        kind = type(value).__name__
        findings.add("bad_start_time", PATH, f"start_time ({kind}) is no time in s, ms, us, ns or ISO; it is not used")
        return math.nan, ""
    start, unit = found
    if unit == "ISO without zone":
        findings.add("start_time_without_zone", PATH, "start_time has no time zone and is taken for UTC")
    # With NaN for the first event both comparisons are false.
    if start > first_event + NEAR_AFTER or start < first_event - NEAR_BEFORE:
        message = f"start_time ({unit}) is {(start - first_event) / 3.6e6:+.3f} h from the first event; it is kept"
        findings.add("start_time_disagrees", PATH, message)
    return start, unit


def _to_plain(value: Any) -> Any:
    """Return what h5py gives as a plain number or text: attributes come as numpy's, and often in arrays of one."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, np.generic):
        value = value.item()
    return decode(value)[0] if isinstance(value, bytes) else value


def _recognise_number(value: float) -> tuple[float, str] | None:
    if isinstance(value, bool) or not math.isfinite(value):
        return None
    for unit, factor in UNITS.items():
        if EARLIEST <= value * factor < LATEST:
            # Whole numbers divide exactly where a factor of 1e-3 would not.
            return (value * factor if factor >= 1 else value / round(1 / factor)), unit
    return None


def _recognise_text(text: str) -> tuple[float, str] | None:
    try:
        return _recognise_number(float(text))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    zoned = moment.tzinfo is not None
    start = (moment if zoned else moment.replace(tzinfo=UTC)).timestamp() * 1000
    return (start, "ISO" if zoned else "ISO without zone") if EARLIEST <= start < LATEST else None
