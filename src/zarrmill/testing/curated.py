"""Writes curated files of invented sessions."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zarrmill.recordings.hdf5 import load_h5py
from zarrmill.testing.signal_files import add_signals
from zarrmill.testing.signals import SignalSpec, SignalTruth
from zarrmill.testing.timeline import START, ElementTruth, PlannedEvent, SegmentTruth, TaskTruth, Timeline, plan_session


@dataclass(frozen=True, slots=True)
class CuratedTruth:
    """What a file was made of: what every table made from it must say."""

    path: Path
    """The file."""
    session_id: str
    """Its name without ``.h5``."""
    start_time: float
    """Epoch milliseconds of the session's start, ``start_time`` of the metadata."""
    end_time: float
    """Latest time of any event."""
    tasks: tuple[TaskTruth, ...]
    """Tasks in time."""
    elements: tuple[ElementTruth, ...]
    """Elements in time."""
    segments: tuple[SegmentTruth, ...]
    """Segments in time."""
    rows: dict[str, int]
    """Rows of each group of events."""
    signals: dict[str, SignalTruth]
    """Truth of the signals by device."""


def write_curated(
    path: str | os.PathLike[str],
    *,
    seed: int = 0,
    tasks: int = 6,
    elements: int = 24,
    segments: int = 20,
    others: int = 0,
    signals: Sequence[SignalSpec] = (),
) -> CuratedTruth:
    """Write a whole curated file and return the truth; the same arguments give the same values.

    ``others`` counts the rows of events that no table is made of, ``signals`` says which devices there are and what
    their clocks do. A session of 5,000 elements and 5,000 segments is written in about a second.
    """
    line = plan_session(seed=seed, tasks=tasks, elements=elements, segments=segments, others=others)
    return _write(Path(path), line, signals, seed)


def write_usual(path: str | os.PathLike[str], *, seed: int = 0, signals: Sequence[SignalSpec] = ()) -> CuratedTruth:
    """Write a file with as many rows of each type as a real session had: 13,800, of which one is a second reply."""
    line = plan_session(seed=seed, tasks=33, elements=288, segments=120, others=12_878)
    last = line.elements[-1]
    line.add("element_replied", last.end_time + 50, {"element_id": last.element_id, "input_modality": "touch"})
    return _write(Path(path), line, signals, seed)


def write_group(file: Any, event_type: str, events: Sequence[PlannedEvent]) -> None:
    """Write one group of events into an open h5py file."""
    group = file.require_group(f"events/{event_type}")
    text = load_h5py().string_dtype()
    rows = [json.dumps(event.payload, ensure_ascii=False) for event in events]
    group.create_dataset("data", data=np.array(rows, dtype=object), dtype=text)
    group.create_dataset("event_ids", data=np.array([event.event_id for event in events], dtype=object), dtype=text)
    times = np.array([(event.server_time, event.time) for event in events], dtype=np.float64).reshape(-1, 2)
    group.create_dataset("timestamps", data=times)


def _write(path: Path, line: Timeline, signals: Sequence[SignalSpec], seed: int) -> CuratedTruth:
    with load_h5py().File(path, "w") as file:
        file.create_group("events")
        file.create_group("metadata").attrs["start_time"] = START
        for event_type, events in line.events.items():
            write_group(file, event_type, events)
        truth = add_signals(file, signals, seed=seed)
    times = [event.time for events in line.events.values() for event in events]
    return CuratedTruth(
        path=path,
        session_id=path.name.removesuffix(".h5"),
        start_time=START,
        end_time=max(times, default=START),
        tasks=tuple(line.tasks),
        elements=tuple(line.elements),
        segments=tuple(sorted(line.segments, key=lambda segment: segment.start_time)),
        rows={name: len(events) for name, events in line.events.items()},
        signals=truth,
    )
