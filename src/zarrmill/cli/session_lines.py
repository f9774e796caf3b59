"""Progress of transforms: a line per session on standard error, or a bar, or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from zarrmill.cli.options import ProgressChoice
from zarrmill.cli.output import open_progress
from zarrmill.progress import Message, Progress, RunStarted
from zarrmill.units import format_seconds

Record = Any
"""``zarrmill.recordings.SessionRecord``."""


class SessionLines:
    """Writes a line about each session as it ends, with the id that it has outside.

    >>> from types import SimpleNamespace
    >>> lines = SessionLines(sys.stdout)
    >>> lines(RunStarted(1, 12, 12, 0, 0, 0, 1))
    >>> lines.tell(SimpleNamespace(session_id="p01", status="failed", seconds=0.5, message="no HDF5 file."))
    [ 1/12] p01 failed after 0.50 s: no HDF5 file.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._count = 0
        self._total = 0

    def __call__(self, message: Message) -> None:
        """Learn how many sessions there are."""
        if isinstance(message, RunStarted):
            self._total = message.blocks

    def tell(self, record: Record) -> None:
        """Write the line of a session."""
        self._count += 1
        number = f"[{self._count:{len(str(self._total))}}/{self._total}]"
        why = f": {record.message}" if record.message else ""
        how = {"success": "done in", "failed": "failed after", "skipped": "skipped after"}[record.status]
        _write(f"{number} {record.session_id} {how} {format_seconds(record.seconds)}{why}", self._stream)


def tell_json(record: Record) -> None:
    """Write a session as one line of JSON, beside those of the progress."""
    figures = {name: getattr(record, name) for name in ("session_id", "status", "seconds")}
    _write(json.dumps({"message": "session_finished", **figures, "text": record.message}))


@contextmanager
def open_session_progress(choice: ProgressChoice) -> Iterator[tuple[Progress, Callable[[Record], None]]]:
    """Give the client of ``--progress`` for a transform, and what hears of each session."""
    if choice is ProgressChoice.lines or (choice is ProgressChoice.auto and not sys.stderr.isatty()):
        lines = SessionLines()
        yield lines, lines.tell
        return
    with open_progress(choice) as client:
        yield client, tell_json if choice is ProgressChoice.json else _ignore


def _ignore(record: Record) -> None:
    """Hear of a session and leave it to the bar."""


def _write(line: str, stream: TextIO | None = None) -> None:
    try:
        print(line, file=stream or sys.stderr, flush=True)
    except BrokenPipeError:
        return
