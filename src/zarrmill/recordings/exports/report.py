"""What was exported, and what of a session could not be said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import isnan
from pathlib import Path
from typing import Any

from zarrmill.recordings.exports.rows import ExportRows


@dataclass(frozen=True, slots=True)
class ExportReport:
    """One export of one session."""

    format: str
    """bids, mne or nwb."""
    written: tuple[str, ...]
    """Files that were written."""
    rows: dict[str, int]
    """Rows of the session by table."""
    gaps: dict[str, int]
    """Gaps by device; none where the events come from a store, which has no frames."""
    without_onset: int
    """Rows whose start is not known."""
    without_end: int
    """Rows whose end is not known."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


def make_report(export: ExportRows, name: str, written: Iterable[Path]) -> ExportReport:
    """Return what an export of these rows holds."""
    return ExportReport(
        format=name,
        written=tuple(map(str, written)),
        rows=dict(Counter(row.table for row in export.rows)),
        gaps={device: len(found) for device, found in export.gaps.items()},
        without_onset=sum(isnan(row.onset) for row in export.rows),
        without_end=sum(isnan(row.duration) for row in export.rows),
    )
