"""What a transform says of its sessions: before it runs, after it ran, and after records were removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from zarrmill.recordings.records import SessionRecord
from zarrmill.recordings.selection import Selected

DONE, FAILED, NOTHING = 0, 1, 2
"""Exit codes: done, some session failed, nothing matched."""


@dataclass(frozen=True, slots=True)
class PlannedSession:
    """A session that a run would take."""

    session_id: str
    """What it is called."""
    state: str
    """new, failed, skipped or success."""
    nbytes: int
    """Size of its input."""


@dataclass(frozen=True, slots=True)
class TransformPlan:
    """What a run would do; nothing was computed or written."""

    transform: str
    """Name of the transform."""
    source: str
    """Where the inputs lie."""
    destination: str
    """Where the stores would go."""
    found: int
    """Sessions below the source."""
    found_by_state: Mapping[str, int]
    """The same by state."""
    missing: int
    """Names that no session has."""
    sessions: tuple[PlannedSession, ...]
    """Those that would be taken."""
    nothing_matched: bool
    """Whether no session is what was asked for."""

    @property
    def nbytes(self) -> int:
        """Size of all inputs."""
        return sum(session.nbytes for session in self.sessions)

    @property
    def exit_code(self) -> int:
        """0, or 2 where nothing matched."""
        return NOTHING if self.nothing_matched else DONE

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return {**asdict(self), "selected": len(self.sessions), "nbytes": self.nbytes, "exit_code": self.exit_code}


@dataclass(frozen=True, slots=True)
class TransformReport:
    """What a run did."""

    transform: str
    """Name of the transform."""
    source: str
    """Where the inputs lie."""
    destination: str
    """Where the stores went."""
    found: int
    """Sessions below the source."""
    missing: int
    """Names that no session has."""
    nothing_matched: bool
    """Whether no session is what was asked for."""
    records: tuple[SessionRecord, ...]
    """A record of each session that was taken."""
    seconds: float
    """Wall time."""
    peak_mem: int
    """Largest memory above start of any process, in bytes."""

    @property
    def by_status(self) -> dict[str, int]:
        """Number of sessions by how they ended."""
        return dict(sorted(Counter(record.status for record in self.records).items()))

    @property
    def exit_code(self) -> int:
        """0; 1 where any session failed or a named one is not there; 2 where nothing matched."""
        if self.nothing_matched:
            return NOTHING
        return FAILED if self.missing or self.by_status.get("failed") else DONE

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            **{name: getattr(self, name) for name in ("transform", "source", "destination", "found", "missing")},
            "selected": len(self.records),
            "by_status": self.by_status,
            "seconds": round(self.seconds, 3),
            "peak_mem": self.peak_mem,
            "exit_code": self.exit_code,
            "sessions": [_short(record) for record in self.records],
        }


def _short(record: SessionRecord) -> dict[str, Any]:
    return {
        "session_id": record.session_id,
        "status": record.status,
        "seconds": round(record.seconds, 3),
        "zarr_stores": list(record.zarr_stores),
        "issues": sum(record.issue_counts.values()),
        "message": record.message,
        "metadata": dict(record.metadata),
    }


@dataclass(frozen=True, slots=True)
class ResetReport:
    """What was removed."""

    destination: str
    """Where."""
    sessions: int
    """Sessions that are new again."""
    records: int
    """Records removed."""
    outputs: int
    """Stores and files removed."""
    nothing_matched: bool
    """Whether no session is what was asked for."""

    @property
    def exit_code(self) -> int:
        """0, or 2 where nothing matched."""
        return NOTHING if self.nothing_matched else DONE

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {**asdict(self), "exit_code": self.exit_code}


def plan_sessions(transform: str, source: str, destination: str, selected: Selected) -> TransformPlan:
    """Return a selection as a plan shows it."""
    counts = (selected.found, selected.found_by_state, selected.missing)
    sessions = tuple(PlannedSession(s.session_id, selected.states[s.session_id], s.nbytes) for s in selected.sessions)
    return TransformPlan(transform, source, destination, *counts, sessions, selected.nothing_matched)
