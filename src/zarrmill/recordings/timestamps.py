"""Times as they are stored: a table of clocks, checked before anything is taken from it. What is missing is NaN."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from zarrmill.recordings.hdf5 import Hdf5Dataset, UnreadableError
from zarrmill.recordings.problems import Findings

EARLIEST, LATEST = 946_684_800_000.0, 4_102_444_800_000.0
"""Epoch milliseconds of the years 2000 and 2100: no recording is from outside of them."""
Times = NDArray[np.float64]
"""Epoch milliseconds."""


def read_times(
    dataset: Hdf5Dataset, rows: int, *, columns: tuple[str, ...], checked: tuple[int, ...], findings: Findings
) -> Times:
    """Return (rows, columns) times with NaN for what is missing, and report that.

    ``columns`` names the clocks that the table has; those at positions ``checked`` must hold times, or are reported.
    """
    out = np.full((rows, len(columns)), np.nan)
    table = _read_table(dataset, len(columns), findings)
    if table is None:
        return out
    found, was_read = table
    length = min(rows, len(found))
    out[:length] = found[:length]
    _report_length(dataset.path, len(found), rows, findings)
    for column in checked:
        _clean(out[:length, column], was_read[:length], f"{columns[column]} time", dataset.path, findings)
    return out


def drop_odd(times: Times) -> Times:
    """Return the times that are between 2000 and 2100, or all of them where none is.

    >>> drop_odd(np.array([1.75e9, 1.75e12, np.nan])).tolist()
    [1750000000000.0]
    """
    usual = is_usual(times)
    return times[usual] if usual.any() else times


def is_usual(times: Times) -> NDArray[np.bool_]:
    """Tell which times are between 2000 and 2100; those that are missing are not."""
    return (times >= EARLIEST) & (times < LATEST)


def _read_table(dataset: Hdf5Dataset, columns: int, findings: Findings) -> tuple[Times, NDArray[np.bool_]] | None:
    """Return the values and which rows could be read; None where the whole is no table of times."""
    if dataset.dtype.kind not in "fiu":
        findings.add("wrong_type", dataset.path, f"times are {dataset.dtype} and no numbers; they are missing")
        return None
    if len(dataset.shape) != 2 or dataset.shape[1] != columns:
        wanted = f"shape {dataset.shape}, not (n, {columns})"
        findings.add("wrong_shape", dataset.path, f"times have the {wanted}; they are missing")
        return None
    times, was_read = np.full(dataset.shape, np.nan), np.zeros(len(dataset), dtype=bool)
    for start, part in dataset.read_parts():
        if isinstance(part, UnreadableError):
            findings.add("unreadable", dataset.path, f"{part.fault}; these times are missing", row=start)
        else:
            times[start : start + len(part)] = part
            was_read[start : start + len(part)] = True
    return times, was_read


def _report_length(path: str, found: int, rows: int, findings: Findings) -> None:
    if found < rows:
        findings.add("too_short", path, f"{found} times for {rows} rows; those of the others are missing", row=found)
    if found > rows:
        findings.add("too_long", path, f"{found} times for {rows} rows; the others are not used", row=rows)


def _clean(times: Times, was_read: NDArray[np.bool_], name: str, path: str, findings: Findings) -> None:
    """Make missing what is no time, in place, and report it run by run, but for what could not be read."""
    missing = ~(np.isfinite(times) & (times > 0))
    odd = ~missing & ~is_usual(times)
    times[missing] = np.nan
    for first, last in find_runs(missing & was_read):
        findings.add("missing_time", path, f"the {name} of {_say_rows(first, last)} is missing", row=first)
    for first, last in find_runs(odd):
        message = f"the {name} of {_say_rows(first, last)} is not between 2000 and 2100 in milliseconds"
        findings.add("odd_time", path, f"{message}; it is kept", row=first)


def find_runs(mask: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield the first and last row of each run of true values.

    >>> list(find_runs(np.array([True, False, True, True])))
    [(0, 0), (2, 3)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False]))))
    yield from zip(edges[::2].tolist(), (edges[1::2] - 1).tolist(), strict=True)


def _say_rows(first: int, last: int) -> str:
    return f"row {first}" if first == last else f"rows {first} to {last}"
