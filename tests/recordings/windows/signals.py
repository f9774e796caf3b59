"""Clocks with known truth: every frame's true time, and what a device wrote down of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

START = 1_750_000_000_000.0
FRAME = 30.0


@dataclass(frozen=True)
class Frames:
    """The frames of a device: true times in order of recording, and the times that its file has."""

    truth: NDArray[np.float64]
    stored: NDArray[np.float64]


def make_frames(count: int, *, period: float = FRAME, start: float = START, jitter: float = 0.0) -> Frames:
    """Return frames without faults."""
    truth = start + period * np.arange(count)
    noise = np.random.default_rng(count).uniform(-jitter, jitter, count) if jitter else 0.0
    return Frames(truth, truth + noise)


def with_hole(frames: Frames, *, at: int, milliseconds: float) -> Frames:
    """Return the frames with a time without any before one of them; the clock went on meanwhile."""
    later = np.where(np.arange(len(frames.truth)) >= at, milliseconds, 0.0)
    return Frames(frames.truth + later, frames.stored + later)


def without(frames: Frames, gone: slice) -> Frames:
    """Return the frames but for some that were lost."""
    return Frames(np.delete(frames.truth, gone), np.delete(frames.stored, gone))
