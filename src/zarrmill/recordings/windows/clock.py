"""The clock of a device: where its frames lie in time, fitted to real timestamps, holes, jitter and drift included.

A frame's *tick* is its place on the clock: whole numbers that count periods, frames that are missing too. Ticks are
counted from a phase that is followed from part to part, so that no error adds up; the line through them is fitted to
medians, which outliers do not move; and what the line leaves (a clock that drifts, a device that began anew after a
hole) is followed by medians of some seconds, never across a hole.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]
Ticks = NDArray[np.int64]

SPAN_FRAMES = 240
"""Frames over which a period is measured: jitter of a frame counts this many times less, and frames that arrive 2, 3,
4, 5, 6, 8, 10 or 12 at a time are whole groups."""
LINE_POINTS = 200
"""Medians that a line is fitted to; the slopes of all pairs are compared."""
FOLLOW_FRAMES = 333
"""Frames of one median that follows drift: 10 s of EEG, in which a bad crystal (100 ppm) is off by 1 ms."""
NO_PHASE = 0.1
"""Length of the mean of phases below which frames have none in common."""
SMOOTH_REACH = 2
"""Medians to either side that one is averaged with: jitter of 14 ms moves the clock by a third of one."""
HOLE_FRAMES = 8
"""Periods without a frame after which a device may have begun anew."""


@dataclass(frozen=True, slots=True, eq=False)
class Clock:
    """Times of ticks: a line, and what real frames were found off it."""

    start: float
    """Time of tick 0 on the line, epoch milliseconds."""
    period: float
    """Milliseconds of a tick, measured."""
    knots: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    """Ticks at which the distance from the line is known."""
    offsets: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    """Milliseconds that frames are later than the line there."""

    def times_of(self, ticks: NDArray[np.integer] | NDArray[np.floating]) -> Times:
        """Return the times of ticks.

        >>> Clock(1000.0, 30.0).times_of(np.array([0, 7])).tolist()
        [1000.0, 1210.0]
        """
        return np.asarray(self.start + self.period * ticks + np.interp(ticks, self.knots, self.offsets))

    def positions(self, times: Times) -> NDArray[np.float64]:
        """Return times in ticks, with their fractions."""
        line = (times - self.start) / self.period
        at = line
        # The offset belongs to the tick that is looked for; it changes so little from tick to tick that this settles.
        for _ in range(3):
            at = line - np.interp(at, self.knots, self.offsets) / self.period
        return at

    def nearest(self, times: Times) -> Ticks:
        """Return the ticks that times are nearest to."""
        return np.rint(self.positions(times)).astype(np.int64)


def measure_period(times: Times, nominal: float) -> float:
    """Return the median distance of rising times, ``nominal`` where there are fewer than two.

    >>> measure_period(np.array([0.0, 30.1, 60.2, 90.3, 10090.3]), 30.0)
    30.1
    """
    if len(times) < 2:
        return nominal
    # Most spans must be free of holes, so that few frames are measured one by one.
    width = max(1, min(SPAN_FRAMES, len(times) // 8))
    return float(np.round(np.median(times[width:] - times[:-width]) / width, 9))


def fit_clock(times: Times, nominal: float) -> Clock:
    """Return the clock of frames with rising times; one of the nominal period where there are fewer than two.

    >>> clock = fit_clock(np.concatenate([np.arange(500), np.arange(850, 2000)]) * 30.0857 + 5e11, 30.0)
    >>> round(clock.period, 4), round(float(clock.times_of(np.array([1999]))[0] - 5e11), 1)
    (30.0857, 60141.3)
    """
    if len(times) < 2:
        return Clock(float(times[0]) if len(times) else 0.0, nominal)
    period = measure_period(times, nominal)
    # Differences are small numbers: the fit loses nothing to the size of epoch milliseconds.
    origin, elapsed = float(times[0]), times - times[0]
    stretches = _stretches(elapsed, period)
    ticks = _count(elapsed, period, stretches)
    start, period = _fit_line(ticks, elapsed, period)
    return Clock(origin + start, period, *_follow(ticks, elapsed - (start + period * ticks), stretches))


def _stretches(elapsed: Times, period: float) -> list[list[NDArray[np.intp]]]:
    """Return the frames between holes, each stretch in parts of some seconds."""
    holes = np.flatnonzero(np.diff(elapsed) > HOLE_FRAMES * period) + 1
    parts = np.split(np.arange(len(elapsed)), holes)
    return [np.array_split(part, max(1, len(part) // FOLLOW_FRAMES)) for part in parts]


def _count(elapsed: Times, period: float, stretches: list[list[NDArray[np.intp]]]) -> Ticks:
    """Return ticks: whole periods since each part's own phase, which is followed from part to part."""
    ticks = np.empty(len(elapsed), dtype=np.int64)
    phase = 0.0
    for part in (part for stretch in stretches for part in stretch):
        turns = elapsed[part] / period
        mean = np.mean(np.exp(2j * np.pi * (turns - phase)))
        # Frames without a common phase say nothing of it.
        if abs(mean) > NO_PHASE:
            phase += float(np.angle(mean)) / (2 * np.pi)
        ticks[part] = np.rint(turns - phase)
    return ticks


def _fit_line(ticks: Ticks, elapsed: Times, period: float) -> tuple[float, float]:
    """Return start and period of the line whose slope is the median of those between medians (Theil and Sen)."""
    off = elapsed - period * ticks
    parts = np.array_split(np.arange(len(ticks)), min(LINE_POINTS, max(1, len(ticks) // 2)))
    x = np.array([np.median(ticks[part]) for part in parts])
    y = np.array([np.median(off[part]) for part in parts])
    a, b = np.triu_indices(len(x), 1)
    apart = x[b] > x[a]
    slope = float(np.median((y[b] - y[a])[apart] / (x[b] - x[a])[apart])) if apart.any() else 0.0
    return float(np.median(off - slope * ticks)), period + slope


def _follow(ticks: Ticks, off: Times, stretches: list[list[NDArray[np.intp]]]) -> tuple[Times, Times]:
    """Return knots of what the line leaves, stretch by stretch between holes, each up to its very ends."""
    found = [_follow_stretch(ticks, off, parts) for parts in stretches]
    return np.concatenate([knots for knots, _ in found]), np.concatenate([offsets for _, offsets in found])


def _follow_stretch(ticks: Ticks, off: Times, parts: list[NDArray[np.intp]]) -> tuple[Times, Times]:
    """Return the smoothed medians of the parts of one stretch, prolonged to its first and last tick."""
    x = np.array([np.median(ticks[part]) for part in parts])
    y = _smooth(np.array([np.median(off[part]) for part in parts]))
    ends = np.array([ticks[parts[0][0]], ticks[parts[-1][-1]]], dtype=np.float64)
    if len(x) == 1:
        return ends, np.repeat(y, 2)
    first = y[0] + (y[1] - y[0]) / (x[1] - x[0]) * (ends[0] - x[0])
    last = y[-1] + (y[-1] - y[-2]) / (x[-1] - x[-2]) * (ends[1] - x[-1])
    return np.concatenate((ends[:1], x, ends[1:])), np.concatenate(([first], y, [last]))


def _smooth(values: Times) -> Times:
    """Return a moving mean that leaves straight lines as they are, up to their ends."""
    reach = min(SMOOTH_REACH, (len(values) - 1) // 2)
    padded = np.pad(values, reach, mode="reflect", reflect_type="odd")
    return np.asarray(np.convolve(padded, np.full(2 * reach + 1, 1 / (2 * reach + 1)), mode="valid"))
