"""Whether a curated file is sound: everything that is wrong with it, in its form and in what its events mean."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, get_args

from zarrmill.errors import ZarrmillError
from zarrmill.recordings.problems import Findings, InputProblem, Severity
from zarrmill.recordings.processing import process
from zarrmill.recordings.recording import open_recording
from zarrmill.recordings.settings import DEFAULT_SETTINGS, EventSettings
from zarrmill.store import is_local, local_path


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What was found in one file."""

    location: str
    """The file."""
    session_id: str
    """Its name without the ending."""
    rows: dict[str, int]
    """Rows of each group of events."""
    problems: tuple[InputProblem, ...]
    """Everything that was found, by path and row."""

    @property
    def counts(self) -> dict[str, int]:
        """Number of problems by severity, those of none included."""
        found = Counter(problem.severity for problem in self.problems)
        return {severity: found[severity] for severity in get_args(Severity)}

    @property
    def sound(self) -> bool:
        """Whether there is nothing that left a value missing or made a part unreadable."""
        return all(problem.severity == "info" for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "location": self.location,
            "session_id": self.session_id,
            "sound": self.sound,
            "counts": self.counts,
            "rows": self.rows,
            "problems": [problem.to_json() for problem in self.problems],
        }


def validate(
    location: str | os.PathLike[str],
    *,
    settings: EventSettings = DEFAULT_SETTINGS,
    storage_options: Mapping[str, Any] | None = None,
) -> ValidationReport:
    """Read a curated file and return everything that is wrong with it; nothing is written.

    Raises as ``open_recording`` does for a file that cannot be opened at all.
    """
    with open_recording(location, storage_options=storage_options) as recording:
        processed = process(
            recording.events,
            session_id=recording.session_id,
            start_time=recording.start_time,
            settings=settings,
            problems=recording.problems,
        )
        rows = {group.event_type: len(group.rows) for group in recording.event_groups}
        return ValidationReport(recording.location, recording.session_id, rows, processed.problems)


def validate_files(
    locations: Iterable[str | os.PathLike[str]],
    *,
    settings: EventSettings = DEFAULT_SETTINGS,
    storage_options: Mapping[str, Any] | None = None,
) -> tuple[ValidationReport, ...]:
    """Validate several files; one that cannot be opened has a report that says so, and stops no other."""
    reports = []
    for location in locations:
        try:
            reports.append(validate(location, settings=settings, storage_options=storage_options))
        except ZarrmillError as error:
            reports.append(_not_opened(os.fspath(location), error))
    return tuple(reports)


def _not_opened(location: str, error: ZarrmillError) -> ValidationReport:
    findings = Findings()
    findings.add("unreadable_file", "", " ".join(str(error).split()))
    shown = str(local_path(location)) if is_local(location) else location
    return ValidationReport(shown, PurePosixPath(location).name.removesuffix(".h5"), {}, findings.sorted())
