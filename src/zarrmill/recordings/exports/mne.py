"""MNE Annotations of a session: as FIF or CSV, with gaps in the frames of a device as ``BAD_gap_<device>``."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from functools import partial
from math import isnan
from pathlib import Path
from typing import Any

from zarrmill.errors import InvalidInputError
from zarrmill.recordings.exports.publish import publish_file
from zarrmill.recordings.exports.report import ExportReport, make_report
from zarrmill.recordings.exports.rows import ExportRow, ExportRows, make_rows
from zarrmill.recordings.optional import load
from zarrmill.recordings.session_timeline import Origin, SessionTimeline, open_timeline

EXTRA = "mne"
"""The extra of this package that installs MNE."""
ENDINGS = ("-annot.fif", "_annot.fif", "-annot.fif.gz", "_annot.fif.gz", ".csv")
"""Names that MNE takes for annotations."""
START = "start"
"""Last word of what has no end: only the instant of its start is told."""


def export_mne(
    source: str | os.PathLike[str] | SessionTimeline,
    target: str | os.PathLike[str],
    *,
    origin: Origin = "start",
    overwrite: bool = False,
) -> ExportReport:
    """Write a session as annotations, in FIF or CSV by the ending of the target.

    MNE has no unknown durations: what was never ended is the instant of its start, with ``/start`` behind its name, and
    what has no start is left out and counted. Gaps need a curated file. Raises InvalidInputError for another ending,
    and for a CSV file of nothing, which MNE could not read.
    """
    path = Path(target)
    if not path.name.endswith(ENDINGS):
        raise InvalidInputError(f"{path.name} is no name of annotations. Let it end in {', '.join(ENDINGS)}.")
    export = make_rows(open_timeline(source), origin=origin)
    annotations = make_annotations(export)
    if not len(annotations) and path.suffix == ".csv":
        raise InvalidInputError(
            f"{path}: nothing has a time in this session, and MNE reads no empty CSV. Use -annot.fif."
        )
    publish_file(path, partial(annotations.save, verbose="ERROR"), overwrite=overwrite)
    return make_report(export, "mne", [path])


def make_annotations(export: ExportRows) -> Any:
    """Return rows as mne.Annotations, whose onsets count from their ``orig_time``: that of the rows' origin."""
    rows = [row for row in export.rows if not isnan(row.onset)]
    found = [(row.onset, 0.0 if isnan(row.duration) else row.duration, describe(row)) for row in rows]
    for device, gaps in export.gaps.items():
        found += [(onset, duration, f"BAD_gap_{device}") for onset, duration in gaps.tolist()]
    onsets, durations, descriptions = (list(each) for each in zip(*found, strict=True)) if found else ([], [], [])
    # Added up, as a float of seconds since 1970 has no exact microseconds.
    zero = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=export.origin_ms)
    return load("mne", extra=EXTRA).Annotations(onsets, durations, descriptions, orig_time=zero)


def describe(row: ExportRow) -> str:
    """Return what a row is, from the general to the special, as MNE selects by: ``task/n_back``.

    >>> describe(ExportRow("task", "task", 1.0, float("nan"), "t1", {"task_type": "n_back"}))
    'task/n_back/start'
    """
    special = row.category if row.table == "segment" else row.texts.get(f"{row.table}_type")
    words = [row.table, " ".join((special or "").split()), START if isnan(row.duration) else ""]
    return "/".join(word for word in words if word)
