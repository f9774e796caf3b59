"""Records: what became of each session at each time, as small JSON objects beside the data. None is ever changed.

    records/<transform>/<session>/<time>-<status>-<token>.json

The name alone tells the status, so that one listing says what is new, failed, skipped or done.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from zarrmill.errors import PublishError
from zarrmill.keyspace import KeySpace
from zarrmill.recordings.session_result import Status

FOLDER = "records"
FORMAT = 1
STAMP = "%Y%m%dT%H%M%S.%fZ"
"""Time in the name of a record: UTC, in the order of text."""
ISSUES_KEPT = 100
"""Issues that a record tells one by one; the store of the session holds them all."""
_NAME = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)-(success|failed|skipped)-[0-9a-f]+\.json")

State = Literal["new", "failed", "skipped", "success"]
"""Where a session stands after all its records."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """What one run made of one session."""

    session_id: str
    """What the session is called."""
    status: Status
    """How it ended."""
    transform: str
    """Name of the transform."""
    transform_version: str
    """Its version."""
    zarrmill_version: str
    """Version of the code."""
    started_at: str
    """When it began, UTC, as ISO 8601."""
    ended_at: str
    """When it ended."""
    seconds: float
    """Time that it took."""
    input: Mapping[str, Any]
    """Its input: path, nbytes, sha256."""
    parameters: Mapping[str, Any]
    """What the transform was told."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Figures of the transform: task_count …, storage_format, processed_at."""
    zarr_stores: tuple[str, ...] = ()
    """Stores written, by key below the destination."""
    files: tuple[str, ...] = ()
    """Files copied and uploaded, by key below the destination."""
    issue_counts: Mapping[str, int] = field(default_factory=dict)
    """Number of issues by code."""
    issues: tuple[Mapping[str, Any], ...] = ()
    """The first of them."""
    requests: Mapping[str, int] = field(default_factory=dict)
    """Requests made for the destination, by kind, with the bytes moved."""
    message: str = ""
    """Why it failed or was skipped, in one line."""
    error: str = ""
    """Kind of the error; empty where there was none."""

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SessionRecord:
        """Return the record that ``to_json`` wrote; fields of later versions are left out."""
        given = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        for name in ("zarr_stores", "files", "issues"):
            given[name] = tuple(given.get(name, ()))
        return cls(**given)


@dataclass(frozen=True, slots=True)
class History:
    """How the runs of one session ended, the first first."""

    ended: tuple[tuple[str, Status], ...] = ()
    """Time and status of each."""

    @property
    def state(self) -> State:
        """Where the session stands: one success lasts, whatever came later."""
        statuses = [status for _, status in self.ended]
        return "success" if "success" in statuses else statuses[-1] if statuses else "new"


class Records:
    """The records of one transform below a destination."""

    def __init__(self, destination: KeySpace, transform: str) -> None:
        self.keys = destination.below(f"{FOLDER}/{transform}")

    def add(self, record: SessionRecord) -> str:
        """Write a record under a name that nothing else has; return its key. Raises PublishError."""
        stamp = datetime.fromisoformat(record.ended_at).astimezone(UTC).strftime(STAMP)
        key = f"{record.session_id}/{stamp}-{record.status}-{secrets.token_hex(4)}.json"
        if not self.keys.create(key, json.dumps(record.to_json(), indent=1).encode()):
            raise PublishError(f"{self.keys.location}/{key}: somebody else wrote this record. Run again.")
        return key

    def histories(self) -> dict[str, History]:
        """Return how the runs of each session ended, as one listing tells."""
        found: dict[str, list[tuple[str, Status]]] = {}
        for session, stamp, status, _ in self._names():
            found.setdefault(session, []).append((stamp, status))
        return {session: History(tuple(sorted(ended))) for session, ended in found.items()}

    def read(self, session_ids: Iterable[str] | None = None) -> Iterator[SessionRecord]:
        """Yield records by session and time, all of them or those of some sessions."""
        wanted = None if session_ids is None else set(session_ids)
        for session, _, _, key in sorted(self._names()):
            data = self.keys.get(key) if wanted is None or session in wanted else None
            if data is not None:
                yield SessionRecord.from_json(json.loads(bytes(data)))

    def remove(self, session_ids: Iterable[str]) -> int:
        """Remove the records of some sessions; return how many. They are new from then on."""
        doomed = set(session_ids)
        keys = [key for session, _, _, key in self._names() if session in doomed]
        self.keys.delete(keys)
        return len(keys)

    def _names(self) -> Iterator[tuple[str, str, Status, str]]:
        """Yield session, time, status and key of each record; what has no such name is none."""
        for info in self.keys.list():
            session, _, name = info.key.rpartition("/")
            found = _NAME.fullmatch(name)
            if found is not None and session:
                yield session, found[1], found[2], info.key  # type: ignore[misc]


def utc_now() -> str:
    """Return the time now as records have it: UTC, to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
