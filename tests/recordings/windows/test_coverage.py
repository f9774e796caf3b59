"""Stretches: every window is in one, they follow each other, and a plan and its store have the same."""

from __future__ import annotations

import itertools
from pathlib import Path

from tests.recordings.windows.files import write_recording
from tests.recordings.windows.signals import START, make_frames, with_hole
from zarrmill.recordings import WindowSettings, open_recording, open_windows, plan_windows, write_windows
from zarrmill.recordings.windows.coverage import stretches_of, stretches_of_plan
from zarrmill.recordings.windows.reasons import Reason


def test_a_plan_and_its_store_have_the_same_stretches(tmp_path: Path) -> None:
    """A hole is a stretch of its own, between two that are valid; windows half in it are others."""
    frames = with_hole(make_frames(1_400), at=700, milliseconds=2_100.0)
    made = write_recording(tmp_path / "s.h5", eeg=frames)
    settings = WindowSettings(filter=None)
    with open_recording(made.path) as recording:
        write_windows(recording, tmp_path / "w.zarr", settings=settings)

    plan = stretches_of_plan(plan_windows(eeg=frames.stored, fnirs=None, settings=settings))
    stored = stretches_of(open_windows(tmp_path / "w.zarr"))

    eeg = [s for s in stored if s.device == "eeg"]
    assert [(s.reason, s.windows) for s in eeg] == [(Reason.VALID, 100), (Reason.GAP, 10), (Reason.VALID, 100)]
    assert [(s.device, s.reason, s.windows) for s in plan] == [(s.device, s.reason, s.windows) for s in stored]
    assert abs(eeg[0].start_ms - START) < 0.01
    assert all(abs(a.end_ms - b.start_ms) < 0.01 for a, b in itertools.pairwise(eeg))
