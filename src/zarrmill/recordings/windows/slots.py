"""Slots: equal stretches of one clock, one window each, from the first frame of any device to the last."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zarrmill.recordings.windows.clock import Clock, Times

SAME_PERIOD = 0.05
"""Part of a window by which the period of fNIRS frames may differ for the windows to take it over."""
LOCKED = 0.5
"""Length of the mean of phases (1 when all are the same, 0 when spread evenly) from which a device has a phase."""


@dataclass(frozen=True, slots=True, eq=False)
class Slots:
    """Windows one after the other, ``ticks`` ticks of a clock each."""

    clock: Clock
    """The clock that they follow."""
    ticks: int
    """Ticks of a slot: the EEG frames of a window."""
    first: int = 0
    """Number of the first slot; slot 0 begins at tick 0, and numbers before it are negative."""
    count: int = 0
    """Slots."""

    @property
    def period(self) -> float:
        """Milliseconds of a slot, measured."""
        return self.clock.period * self.ticks

    @property
    def times(self) -> Times:
        """Times at which the slots begin, each by real time, so that no error adds up."""
        return self.clock.times_of((self.first + np.arange(self.count, dtype=np.int64)) * self.ticks)

    def positions(self, times: Times) -> NDArray[np.float64]:
        """Return times in slots, with their fractions, counted from slot 0."""
        return self.clock.positions(times) / self.ticks

    def cover(self, first: int, last: int) -> Slots:
        """Return the same slots from one number up to and including another."""
        return Slots(self.clock, self.ticks, first, last - first + 1)


def find_phase(slots: Slots, times: Times) -> float:
    """Return where in a slot the frames of another device typically lie, in [0, 1); 0.5 where they do not keep to one.

    A device with one frame per slot keeps its phase, and its frames are told apart by it even where that is the very
    edge of the slots: frames 2 ms before and 2 ms after an edge are both of the slot that begins there.

    >>> find_phase(Slots(Clock(0.0, 30.0), 7), np.arange(50) * 210.0 + 42)
    0.2
    >>> find_phase(Slots(Clock(0.0, 30.0), 7), np.arange(50) * 292.8)
    0.5
    """
    if not len(times):
        return 0.5
    mean = np.mean(np.exp(2j * np.pi * slots.positions(times)))
    if abs(mean) < LOCKED:
        return 0.5
    phase = round(float(np.angle(mean) / (2 * np.pi)) % 1.0, 9)
    # Just before the end is, but for jitter, the beginning.
    return 0.0 if phase > 1 - 0.5 / slots.ticks else phase


def slots_of(slots: Slots, times: Times, phase: float) -> NDArray[np.int64]:
    """Return the slots that frames belong to: those whose usual place for a frame is nearest."""
    return np.rint(slots.positions(times) - phase).astype(np.int64)
