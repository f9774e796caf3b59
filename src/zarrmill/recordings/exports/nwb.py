"""NWB: tasks, elements, segments and gaps of a session as TimeIntervals; times that are not known are NaN."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from zarrmill.errors import InvalidInputError
from zarrmill.recordings.exports.publish import publish_file
from zarrmill.recordings.exports.report import ExportReport, make_report
from zarrmill.recordings.exports.rows import TEXTS, TITLE, ExportRow, ExportRows, make_rows
from zarrmill.recordings.optional import load
from zarrmill.recordings.schema import TABLES
from zarrmill.recordings.session_timeline import SPANS, Origin, SessionTimeline, open_timeline

EXTRA = "nwb"
"""The extra of this package that installs pynwb."""
MISSING = "n/a"
"""Text of what is missing, as texts of NWB have no missing value."""


def export_nwb(
    source: str | os.PathLike[str] | SessionTimeline,
    target: str | os.PathLike[str],
    *,
    subject: str | None = None,
    origin: Origin = "start",
    titles: bool = False,
    overwrite: bool = False,
) -> ExportReport:
    """Write a session as an NWB file of intervals; a table without rows is left out.

    Nothing in it tells the session's id, which may be a name: it says who it was only by ``subject``. Raises
    InvalidInputError where the origin is not known, AlreadyExistsError for a file that is there.
    """
    path = Path(target)
    if path.suffix != ".nwb":
        raise InvalidInputError(f"{path.name} is no name of an NWB file. Let it end in .nwb.")
    export = make_rows(open_timeline(source), origin=origin, titles=titles)
    file = make_file(export, subject=subject)
    publish_file(path, partial(_write, file), overwrite=overwrite)
    return make_report(export, "nwb", [path])


def make_file(export: ExportRows, *, subject: str | None = None) -> Any:
    """Return rows as a pynwb.NWBFile, whose times count from the rows' origin."""
    pynwb = load("pynwb", extra=EXTRA)
    file = pynwb.NWBFile(
        session_description="Tasks, elements and segments of a recording",
        identifier=str(uuid4()),
        session_start_time=datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=export.origin_ms),
        subject=None if subject is None else pynwb.file.Subject(subject_id=subject),
    )
    for table in SPANS:
        if rows := [row for row in export.rows if row.table == table]:
            file.add_time_intervals(_make_intervals(table, rows))
    for device, gaps in export.gaps.items():
        if len(gaps):
            about = f"When frames of the device {device} are missing"
            found = load("pynwb.epoch", extra=EXTRA).TimeIntervals(name=f"gaps_{device}", description=about)
            for onset, duration in gaps.tolist():
                found.add_row(start_time=onset, stop_time=onset + duration)
            file.add_time_intervals(found)
    return file


def _make_intervals(table: str, rows: list[ExportRow]) -> Any:
    group = TABLES[table].group
    about = f"A row for each {table}; stop_time is NaN where no end was recorded"
    found = load("pynwb.epoch", extra=EXTRA).TimeIntervals(name=group, description=about)
    texts = [name for name in (*TEXTS[table], TITLE) if name in rows[0].texts]
    found.add_column("key", f"unique name of the {table}")
    if table == "segment":
        found.add_column("segment_type", TABLES[table]["segment_type"].about)
    for name in texts:
        found.add_column(name, f"{TABLES[table][name].about}; {MISSING} where it is missing")
    for row in rows:
        kind = {"segment_type": row.category} if table == "segment" else {}
        told = {name: MISSING if row.texts[name] is None else row.texts[name] for name in texts}
        found.add_row(start_time=row.onset, stop_time=row.onset + row.duration, key=row.key, **kind, **told)
    return found


def _write(file: Any, path: Path) -> None:
    with load("pynwb", extra=EXTRA).NWBHDF5IO(str(path), "w") as out:
        out.write(file)
