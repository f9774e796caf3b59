"""All that has a time in one session: its tables, and what its devices cover; from a curated file or an event store."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError
from zarrmill.recordings.coverage import Coverage, find_coverage
from zarrmill.recordings.event_reader import Events, open_events
from zarrmill.recordings.processing import extract, process
from zarrmill.recordings.recording import Recording, open_recording
from zarrmill.recordings.settings import DEFAULT_SETTINGS, EventSettings
from zarrmill.recordings.timestamps import drop_odd
from zarrmill.store import is_local, local_path

SPANS = ("task", "element", "segment")
"""Tables whose rows have a start and an end."""
Origin = Literal["start", "first", "eeg", "fnirs"]
"""From when seconds count: the start of the session, its first event, or the first frame of a device."""


@dataclass(frozen=True, slots=True)
class SessionTimeline:
    """One session in time."""

    session_id: str
    """Name of the session."""
    start_time: float
    """Start of the session, epoch milliseconds; NaN where it is not known."""
    events: Events
    """Its tables."""
    coverage: Mapping[str, Coverage]
    """What each device covers; none where the events come from a store, which has no frames."""

    def origin(self, origin: Origin = "start") -> float:
        """Return when seconds count from, in epoch milliseconds. Raises InvalidInputError where that is not known."""
        if origin not in get_args(Origin):
            raise InvalidInputError(f"origin {origin!r} is not known. Use {', '.join(get_args(Origin))}.")
        if origin == "start":
            return _known(self.start_time, "the start of the session is not known. Count from its first event: first")
        if origin == "first":
            return _known(self._first(), "no event of this session has a time. Nothing to count from")
        spans = self.coverage[origin].spans if origin in self.coverage else np.empty((0, 2))
        if not len(spans):
            raise InvalidInputError(f"{origin} has no frame with a time here. Give a curated file that has its frames.")
        return float(spans[0, 0])

    def _first(self) -> float:
        times = self.events.columns("event")["client_time"]
        return float(np.min(drop_odd(times[~np.isnan(times)]), initial=np.inf))


def _known(time: float, otherwise: str) -> float:
    if not np.isfinite(time):
        raise InvalidInputError(f"{otherwise}.")
    return time


def open_timeline(
    location: str | os.PathLike[str] | SessionTimeline,
    *,
    settings: EventSettings = DEFAULT_SETTINGS,
    clean: Callable[[str], str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> SessionTimeline:
    """Return a session in time from a curated file or an event store, at a path or URL.

    Whatever ends in ``.h5``, and every file of the local disk, is a curated file; its events are processed with
    ``settings``. ``clean`` is applied to every text, to replace the session's id: see ``cleaner_of``. What is a
    timeline already is returned as it is. Raises as ``open_recording`` and ``open_events`` do.
    """
    if isinstance(location, SessionTimeline):
        return location
    text = os.fspath(location)
    if text.endswith(".h5") or (is_local(text) and local_path(text).is_file()):
        with open_recording(text, storage_options=storage_options) as recording:
            return _cleaned(_of_recording(recording, settings), clean)
    events = open_events(text, times="milliseconds", storage_options=storage_options)
    start = float(events.attributes.get("session_start_time", "nan"))
    return _cleaned(SessionTimeline(str(events.attributes.get("session_id", "")), start, events, {}), clean)


def _of_recording(recording: Recording, settings: EventSettings) -> SessionTimeline:
    found = extract(recording)
    processed = process(
        found.events,
        session_id=found.session_id,
        start_time=found.start_time,
        settings=settings,
        problems=found.problems,
    )
    coverage: dict[str, Coverage] = {
        name: find_coverage(name, drop_odd(device.times)) for name, device in recording.devices.items()
    }
    return SessionTimeline(found.session_id, found.start_time, Events.of(processed, times="milliseconds"), coverage)


def _cleaned(timeline: SessionTimeline, clean: Callable[[str], str] | None) -> SessionTimeline:
    """Return a timeline of which every text has gone through ``clean``."""
    if clean is None:
        return timeline
    events, replace = timeline.events, clean

    def read(table: str) -> dict[str, NDArray[Any]]:
        return {
            name: np.array([replace(text) for text in values.tolist()], dtype=values.dtype)
            if isinstance(values.dtype, np.dtypes.StringDType)
            else values
            for name, values in events.columns(table).items()
        }

    attributes = {**events.attributes, "session_id": replace(timeline.session_id)}
    renamed = Events(read, attributes, times="milliseconds")
    return SessionTimeline(replace(timeline.session_id), timeline.start_time, renamed, timeline.coverage)
