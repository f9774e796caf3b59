"""The rows of one group of events: JSON text, ids and times, each of which may be missing, short, long or damaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, TypeVar

import numpy as np

from zarrmill.recordings.collector import paused_collector
from zarrmill.recordings.hdf5 import Hdf5Dataset, Hdf5File, UnreadableError, all_bytes
from zarrmill.recordings.json_rows import JsonRow, parse_row
from zarrmill.recordings.model import EventRow
from zarrmill.recordings.problems import Findings
from zarrmill.recordings.texts import decode_all, escape
from zarrmill.recordings.timestamps import Times, read_times

ROOT = "events"
"""Group that holds one group for each type of events."""
CLOCKS = ("server", "client")
"""Columns of the timestamps."""
_PARTS = ("data", "event_ids", "sequence_numbers", "timestamps")
_NOTHING = JsonRow("", None)
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class EventGroup:
    """One group of events."""

    event_type: str
    """Name of the group, escaped where it is not UTF-8."""
    rows: tuple[EventRow, ...]
    """Its rows in the file's order."""
    has_ids: bool
    """Whether it has ids."""
    has_sequence: bool
    """Whether it has sequence numbers."""


@paused_collector()
def read_event_groups(file: Hdf5File, findings: Findings) -> tuple[EventGroup, ...]:
    """Return every group of events with its rows, and report what is wrong with each."""
    kind = _kind_of(file, ROOT, findings)
    if kind is None:
        findings.add("no_events", ROOT, "there is no group of events; every table has zero rows")
        return ()
    if not _is_kind(kind, "group", ROOT, findings):
        return ()
    groups = []
    for name in _names_in(file, findings):
        path = f"{ROOT}/{name}"
        kind = _kind_of(file, path, findings)
        if kind is not None and _is_kind(kind, "group", escape(path), findings):
            groups.append(_read_group(file, path, findings))
    return tuple(groups)


def _names_in(file: Hdf5File, findings: Findings) -> list[str]:
    try:
        return file.names(ROOT)
    except UnreadableError as error:
        findings.add("unreadable", ROOT, f"{error.fault}; every table has zero rows")
        return []


def _read_group(file: Hdf5File, path: str, findings: Findings) -> EventGroup:
    found = {name: _find_part(file, f"{path}/{name}", findings) for name in _PARTS}
    shown = escape(path)
    event_type = shown.removeprefix(f"{ROOT}/")
    if all(part is None for part in found.values()):
        findings.add("empty_group", shown, "the group holds nothing that is read")
        return EventGroup(event_type, (), False, False)
    texts = _read_texts(found["data"], findings)
    ids = _read_texts(found["event_ids"], findings)
    sequence = _read_sequence(found["sequence_numbers"], findings)
    counts = [len(part) for part in (texts, ids, sequence) if part is not None]
    times_found = found["timestamps"]
    rows = max(counts) if counts else 0 if times_found is None else len(times_found)
    _report_parts(shown, {"data": texts, "event_ids": ids, "sequence_numbers": sequence}, rows, findings)
    times = _read_times(times_found, rows, shown, findings)
    made = _make_rows(event_type, _Columns(texts, ids, sequence, times), rows, findings)
    return EventGroup(event_type, made, ids is not None, sequence is not None)


@dataclass(frozen=True, slots=True)
class _Columns:
    """What the datasets of a group hold; None for one that is not there."""

    texts: list[bytes | None] | None
    ids: list[bytes | None] | None
    sequence: list[int | None] | None
    times: Times


def _make_rows(event_type: str, columns: _Columns, rows: int, findings: Findings) -> tuple[EventRow, ...]:
    path = f"{ROOT}/{event_type}"
    ids = _decode_ids(_padded(columns.ids, rows), f"{path}/event_ids", findings)
    payloads, objects = _parse_rows(_padded(columns.texts, rows), f"{path}/data", findings)
    server, client = columns.times.T.tolist()
    values = ids, _padded(columns.sequence, rows), server, client, payloads, objects
    return tuple(map(EventRow._make, zip(repeat(event_type), range(rows), *values)))


def _parse_rows(
    raws: list[bytes | None], path: str, findings: Findings
) -> tuple[list[str | None], list[Mapping[str, Any] | None]]:
    """Return the text and the object of each row."""
    parsed = [_NOTHING if raw is None else parse_row(raw) for raw in raws]
    for row, found in enumerate(parsed):
        for code, message in found.faults:
            findings.add(code, path, message, row=row)
    return [None if found is _NOTHING else found.payload for found in parsed], [found.data for found in parsed]


def _decode_ids(raws: list[bytes | None], path: str, findings: Findings) -> list[str | None]:
    ids, escaped = decode_all(raws)
    for row in escaped:
        findings.add("not_utf8", path, "the id is not UTF-8; it is kept with escapes", row=row)
    first: dict[str, int] = {}
    for row, text in enumerate(ids):
        if text is None:
            continue
        if "\0" in text:
            findings.add("nul_in_text", path, "the id has a NUL character; it is kept", row=row)
        if first.setdefault(text, row) != row:
            message = f"the id of row {first[text]} again; both rows are kept"
            findings.add("repeated_event_id", path, message, row=row)
    return ids


def _padded(column: list[_Value | None] | None, rows: int) -> list[_Value | None]:
    found = column or []
    return found + [None] * (rows - len(found))


def _read_texts(dataset: Hdf5Dataset | None, findings: Findings) -> list[bytes | None] | None:
    """Return the rows of a dataset of text, None for those that cannot be read."""
    if dataset is None:
        return None
    if not dataset.is_text:
        findings.add("wrong_type", dataset.path, f"{dataset.dtype} and no text; its rows are missing")
        return [None] * len(dataset)
    if len(dataset.shape) != 1 and int(np.prod(dataset.shape)) != len(dataset):
        findings.add("wrong_shape", dataset.path, f"the shape is {dataset.shape}, not (n,); its rows are missing")
        return [None] * len(dataset)
    found: list[bytes | None] = [None] * len(dataset)
    for start, part in dataset.read_parts():
        if isinstance(part, UnreadableError):
            findings.add("unreadable", dataset.path, f"{part.fault}; they are missing", row=start)
        else:
            found[start : start + len(part)] = all_bytes(part.ravel().tolist())
    return found


def _read_sequence(dataset: Hdf5Dataset | None, findings: Findings) -> list[int | None] | None:
    if dataset is None:
        return None
    missing: list[int | None] = [None] * len(dataset)
    if dataset.dtype.kind not in "iu" or len(dataset.shape) != 1:
        what = f"{dataset.dtype} of shape {dataset.shape}, not integers of shape (n,)"
        findings.add("wrong_type", dataset.path, f"{what}; the sequence numbers are missing")
        return missing
    try:
        return list(dataset.read().tolist())
    except UnreadableError as error:
        findings.add("unreadable", dataset.path, f"{error.fault}; the sequence numbers are missing")
        return missing


def _read_times(dataset: Hdf5Dataset | None, rows: int, path: str, findings: Findings) -> Times:
    if dataset is not None:
        return read_times(dataset, rows, columns=CLOCKS, checked=(0, 1), findings=findings)
    findings.add("no_timestamps", f"{path}/timestamps", f"there are no timestamps; all {rows} times are missing")
    return np.full((rows, len(CLOCKS)), np.nan)


def _report_parts(path: str, parts: dict[str, Sequence[object] | None], rows: int, findings: Findings) -> None:
    """Report what is not there, and what is shorter than the group."""
    if parts["data"] is None:
        findings.add("no_payloads", f"{path}/data", f"there are no JSON rows; {rows} rows have no values")
    if parts["event_ids"] is None:
        instead = "" if parts["sequence_numbers"] is None else ", but sequence numbers"
        findings.add("no_event_ids", f"{path}/event_ids", f"there are no ids{instead}")
    for name, part in parts.items():
        if part is not None and len(part) < rows:
            message = f"{len(part)} rows of {rows}; the others are missing"
            findings.add("too_short", f"{path}/{name}", message, row=len(part))


def _find_part(file: Hdf5File, path: str, findings: Findings) -> Hdf5Dataset | None:
    shown = escape(path)
    try:
        found = file.find(path)
    except UnreadableError as error:
        findings.add("unreadable", shown, error.fault)
        return None
    if found is None or isinstance(found, Hdf5Dataset):
        return found
    _is_kind(found, "dataset", shown, findings)
    return None


def _kind_of(file: Hdf5File, path: str, findings: Findings) -> str | None:
    try:
        return file.kind(path)
    except UnreadableError as error:
        findings.add("unreadable", escape(path), error.fault)
        return "unreadable"


def _is_kind(found: str, wanted: str, path: str, findings: Findings) -> bool:
    """Tell whether it is what the format has there; what could not be opened is reported already."""
    if found not in (wanted, "unreadable"):
        findings.add("wrong_kind", path, f"there is a {found} where the format has a {wanted}; it is not read")
    return found == wanted
