"""Curated files made to order: whole ones, damaged ones, and signals whose truth is known, all with invented ids.

>>> import tempfile
>>> from zarrmill.recordings import open_recording
>>> with tempfile.TemporaryDirectory() as folder:
...     truth = write_curated(f"{folder}/session-01.h5", tasks=3, elements=9)
...     with open_recording(truth.path) as recording:
...         print(len(recording.events), [problem.code for problem in recording.problems])
64 ['no_device']
"""

from __future__ import annotations

from zarrmill.testing.curated import CuratedTruth, write_curated, write_usual
from zarrmill.testing.damage import DAMAGES, Damage
from zarrmill.testing.signal_files import write_large_fnirs, write_signals
from zarrmill.testing.signals import EEG, FNIRS, SignalSpec, SignalTruth, plan_signal
from zarrmill.testing.timeline import START, ElementTruth, SegmentTruth, TaskTruth

__all__ = [
    "DAMAGES",
    "EEG",
    "FNIRS",
    "START",
    "CuratedTruth",
    "Damage",
    "ElementTruth",
    "SegmentTruth",
    "SignalSpec",
    "SignalTruth",
    "TaskTruth",
    "plan_signal",
    "write_curated",
    "write_large_fnirs",
    "write_signals",
    "write_usual",
]
