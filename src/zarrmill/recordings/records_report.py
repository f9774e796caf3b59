"""What the records below a destination say: where each session stands, and every run of those that are asked for."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from zarrmill.errors import NotFoundError
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.local import LocalKeys
from zarrmill.recordings.records import FOLDER, Records, SessionRecord
from zarrmill.store import open_keys


@dataclass(frozen=True, slots=True)
class SessionState:
    """Where one session stands."""

    transform: str
    """Name of the transform."""
    session_id: str
    """What the session is called."""
    state: str
    """success, failed or skipped."""
    runs: int
    """Number of its records."""
    last_status: str
    """How the last of them ended."""
    last_at: str
    """When that was: UTC."""


@dataclass(frozen=True, slots=True)
class RecordsReport:
    """The records below a destination."""

    destination: str
    """Where they lie."""
    sessions: tuple[SessionState, ...]
    """State of each session."""
    records: tuple[SessionRecord, ...]
    """Every record of the sessions that were asked for by name."""

    @property
    def by_state(self) -> dict[str, int]:
        """Number of sessions by state."""
        return dict(sorted(Counter(session.state for session in self.sessions).items()))

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "destination": self.destination,
            "by_state": self.by_state,
            "sessions": [asdict(session) for session in self.sessions],
            "records": [record.to_json() for record in self.records],
        }


def report_records(
    destination: str | os.PathLike[str],
    *,
    names: Collection[str] = (),
    transform: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> RecordsReport:
    """Return what the records below a destination say, of one transform or of all.

    Without names one listing tells it; the records of sessions that are named are read. Raises NotFoundError for a
    folder that is not there.
    """
    keys = open_keys(destination, storage_options=storage_options)
    if isinstance(keys, LocalKeys) and not keys.path.is_dir():
        raise NotFoundError(f"there is no folder {keys.location}. Give the folder of the stores.")
    transforms = [transform] if transform is not None else sorted(keys.list_dir(FOLDER)[0])
    states = [state for name in transforms for state in _states(keys, name) if not names or state.session_id in names]
    records = [record for name in transforms for record in Records(keys, name).read(names)] if names else []
    return RecordsReport(keys.location, tuple(states), tuple(records))


def _states(keys: KeySpace, transform: str) -> Iterator[SessionState]:
    for session, history in sorted(Records(keys, transform).histories().items()):
        stamp, status = history.ended[-1]
        yield SessionState(transform, session, history.state, len(history.ended), status, _say_stamp(stamp))


def _say_stamp(stamp: str) -> str:
    """Return the time in the name of a record as ISO 8601.

    >>> _say_stamp("20260301T110001.500000Z")
    '2026-03-01T11:00:01Z'
    """
    return f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}T{stamp[9:11]}:{stamp[11:13]}:{stamp[13:15]}Z"
