"""One session from its input to its record: whatever happens, there is a record, and no id in it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from zarrmill.errors import ZarrmillError
from zarrmill.keyspace.local import LocalKeys
from zarrmill.recordings.local_copy import checksum
from zarrmill.recordings.outputs import put_files
from zarrmill.recordings.records import ISSUES_KEPT, SessionRecord, utc_now
from zarrmill.recordings.session import Session
from zarrmill.recordings.session_result import STORAGE_FORMAT, SessionFailedError, SessionResult
from zarrmill.recordings.session_run import request_figures, say_error
from zarrmill.version import __version__

if TYPE_CHECKING:
    from zarrmill.recordings.transform import BaseTransform

_FREE_TEXT = ("input", "parameters", "metadata", "zarr_stores", "files", "issues", "message")
"""Fields of a record that may hold an id."""


class SessionWork:
    """Does sessions with a transform, each with a copy of it."""

    def __init__(self, transform: BaseTransform) -> None:
        self.transform = transform

    def work(self, session: Session) -> SessionRecord:
        """Process a session and record it."""
        mine = self.transform.for_session(session)
        begun, started, before = time.perf_counter(), utc_now(), mine.destination.counts.snapshot()
        files: tuple[str, ...] = ()
        error = ""
        try:
            result = mine.process_session(session)
            if result.status == "success":
                files = put_files(session, result, mine.destination)
        except (Exception, SystemExit) as raised:  # noqa: BLE001 (one session's failure never stops the others)
            result, error = _failed(raised)
        record = self._record(session, result, known=mine.input_facts, started=started)
        stores = tuple(dict.fromkeys((*mine.saved, *result.zarr_stores)))
        requests = request_figures(mine.destination.counts.snapshot() - before)
        seconds = round(time.perf_counter() - begun, 6)
        record = replace(record, zarr_stores=stores, files=files, requests=requests, error=error, seconds=seconds)
        return self._add(session, record)

    def give_up(self, session: Session, error: BaseException) -> SessionRecord:
        """Record a session whose process died."""
        result, kind = _failed(error)
        return self._add(session, replace(self._record(session, result, known={}, started=utc_now()), error=kind))

    def _record(
        self, session: Session, result: SessionResult, *, known: Mapping[str, Any], started: str
    ) -> SessionRecord:
        ended = utc_now()
        metadata = {"session_id": session.session_id, "processed_at": ended, "storage_format": STORAGE_FORMAT}
        return SessionRecord(
            session_id=session.session_id,
            status=result.status,
            transform=self.transform.name,
            transform_version=self.transform.version,
            zarrmill_version=__version__,
            started_at=started,
            ended_at=ended,
            seconds=0.0,
            input=known or describe_input(session),
            parameters=self.transform.parameters(),
            metadata={**metadata, **result.metadata},
            issue_counts=dict(sorted(Counter(problem.code for problem in result.problems).items())),
            issues=tuple(problem.to_json() for problem in result.problems[:ISSUES_KEPT]),
            message=" ".join(result.message.split()),
        )

    def _add(self, session: Session, record: SessionRecord) -> SessionRecord:
        """Write a record without ids; where that fails the session has failed, for the next run does it again."""
        data = record.to_json()
        free = {name: session.cleaner.clean_json(data[name]) for name in _FREE_TEXT}
        clean = SessionRecord.from_json({**data, **free})
        try:
            self.transform.records.add(clean)
        except (ZarrmillError, OSError) as error:
            text, kind = say_error(error)
            return replace(
                clean, status="failed", message=session.cleaner(f"no record was written: {text}"), error=kind
            )
        return clean


def _failed(error: BaseException) -> tuple[SessionResult, str]:
    if isinstance(error, SessionFailedError):
        return SessionResult("failed", problems=error.problems, message=str(error)), "session_failed"
    text, kind = say_error(error)
    return SessionResult("failed", message=text), kind


def describe_input(session: Session) -> dict[str, Any]:
    """Return path, size and checksum of an input; that of a remote one is known only where it was downloaded."""
    found: dict[str, Any] = {"path": session.input_location, "nbytes": session.nbytes, "sha256": None}
    if isinstance(session.source, LocalKeys):
        try:
            found["sha256"] = checksum(session.source.path / session.key)
        except OSError:
            return found
    return found
