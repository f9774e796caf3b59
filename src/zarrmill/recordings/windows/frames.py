"""Frames chosen by time: which EEG frames fill a window, and which fNIRS frame is of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zarrmill.recordings.windows.clock import Clock, Ticks, Times
from zarrmill.recordings.windows.ordering import Ordered
from zarrmill.recordings.windows.reasons import Reason, Reasons
from zarrmill.recordings.windows.slots import Slots, slots_of

Frames = NDArray[np.int64]
"""Numbers of frames in the file; -1 for none."""
NEIGHBOURS = 9
"""Frames whose order tells the tick of the one in the middle, where single times are far off."""


@dataclass(frozen=True, slots=True, eq=False)
class EegFrames:
    """The EEG frames of windows by place."""

    frames: Frames
    """(windows, frames of a window) number of the frame at each place, -1 for none."""
    reasons: Reasons
    """Why a window is not valid."""
    real_times: Times
    """Time of the frame at the first place as the device gave it; NaN where there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class FnirsFrames:
    """The fNIRS frame of each window."""

    frames: Frames
    """Number of the frame, -1 for none."""
    reasons: Reasons
    """Why a window is not valid."""
    real_times: Times
    """Time of the frame; NaN where there is none."""


def choose_eeg(slots: Slots, ordered: Ordered, *, tolerance: float, min_run: int) -> EegFrames:
    """Return the EEG frames of each slot.

    A window is valid when each of its places has one frame, within ``tolerance`` periods of it, no other frame's time
    falls there, and it lies in ``min_run`` or more frames without a hole.
    """
    places = slots.count * slots.ticks
    origin = slots.first * slots.ticks
    times, kept = ordered.times, ordered.kept_times
    ticks = place_frames(slots.clock, kept, tolerance) - origin
    off = np.abs(kept - slots.clock.times_of(ticks + origin)) / slots.clock.period
    frames = np.full(places, -1, dtype=np.int64)
    flaws = np.zeros(places, dtype=np.int8)
    near = off <= tolerance
    _flag(flaws, ticks[~near], Reason.OFF_TIME)
    _fill(frames, flaws, ticks=ticks[near], numbers=ordered.kept[near], off=off[near])
    for dropped, reason in _dropped(ordered):
        _flag(flaws, slots.clock.nearest(times[dropped]) - origin, reason)
    # A frame that may be another would be filtered into its neighbours; one that is there twice is the same frame.
    frames[flaws == Reason.BACKWARD_TIMES] = -1
    shaped = frames.reshape(slots.count, slots.ticks)
    reasons = _window_reasons(shaped, flaws.reshape(shaped.shape))
    _mark_outside(reasons, slots_of(slots, kept, 0.5 - 0.5 / slots.ticks) - slots.first)
    _mark_short_runs(reasons, frames, min_run)
    first = shaped[:, 0]
    real = np.where(first >= 0, times[first], np.nan) if len(times) else np.full(slots.count, np.nan)
    return EegFrames(shaped, reasons, real)


def place_frames(clock: Clock, times: Times, tolerance: float) -> Ticks:
    """Return the ticks of frames with rising times.

    Within half a period the nearest tick is right. With a larger tolerance a frame whose order among its neighbours
    says another tick gets that, as long as it is within the tolerance.
    """
    nearest = clock.nearest(times)
    if tolerance <= 0.5 or len(times) < NEIGHBOURS:
        return nearest
    numbers = np.arange(len(times), dtype=np.int64)
    padded = np.pad(nearest - numbers, NEIGHBOURS // 2, mode="edge")
    usual = np.median(np.lib.stride_tricks.sliding_window_view(padded, NEIGHBOURS), axis=1).astype(np.int64)
    by_order = numbers + usual
    near = np.abs(times - clock.times_of(by_order)) <= tolerance * clock.period
    return np.where(near, by_order, nearest)


def choose_fnirs(slots: Slots, ordered: Ordered, *, phase: float, within: float) -> FnirsFrames:
    """Return the fNIRS frame of each slot: the nearest to its place (``phase``), at most ``within`` ms away.

    A slot into which a frame falls whose time is not in order is not valid: which of them is right is not known.
    """
    times, kept = ordered.times, ordered.kept_times
    if not len(kept):
        none = np.full(slots.count, -1, dtype=np.int64)
        return FnirsFrames(none, np.full(slots.count, Reason.OUTSIDE, np.int8), np.full(slots.count, np.nan))
    wanted = slots.times + phase * slots.period
    after = np.clip(np.searchsorted(kept, wanted), 1, max(1, len(kept) - 1))
    before = np.where(wanted - kept[after - 1] <= kept[np.minimum(after, len(kept) - 1)] - wanted, after - 1, after)
    nearest = np.minimum(before, len(kept) - 1)
    found = np.abs(kept[nearest] - wanted) <= within
    reasons = np.where(found, Reason.VALID, Reason.GAP).astype(np.int8)
    outside = ~found & ((wanted < kept[0]) | (wanted > kept[-1]))
    reasons[outside] = Reason.OUTSIDE
    for dropped, reason in _dropped(ordered):
        _flag(reasons, slots_of(slots, times[dropped], phase) - slots.first, reason)
    found &= reasons != Reason.BACKWARD_TIMES
    frames = np.where(found, ordered.kept[nearest], -1)
    return FnirsFrames(frames, reasons, np.where(found, kept[nearest], np.nan))


def _dropped(ordered: Ordered) -> tuple[tuple[Frames, Reason], ...]:
    return (ordered.backward, Reason.BACKWARD_TIMES), (ordered.duplicate, Reason.DUPLICATE_TIMES)


def _fill(frames: Frames, flaws: Reasons, *, ticks: Ticks, numbers: Frames, off: NDArray[np.float64]) -> None:
    """Put each frame at its tick; of two at one tick the nearer one, and the tick is flagged."""
    inside = (ticks >= 0) & (ticks < len(frames))
    ticks, numbers, off = ticks[inside], numbers[inside], off[inside]
    # Of several assignments to one place the last counts: the nearest.
    order = np.lexsort((-numbers, -off))
    frames[ticks[order]] = numbers[order]
    counts = np.bincount(ticks, minlength=len(frames))
    flaws[counts > 1] = Reason.DUPLICATE_TIMES


def _flag(flaws: Reasons, places: NDArray[np.int64], reason: Reason) -> None:
    flaws[places[(places >= 0) & (places < len(flaws))]] = reason


def _window_reasons(frames: Frames, flaws: Reasons) -> Reasons:
    """Return why windows are not valid by what is at their places."""
    present = (frames >= 0).sum(axis=1)
    reasons = np.full(len(frames), Reason.VALID, dtype=np.int8)
    reasons[present < frames.shape[1]] = Reason.MISSING_FRAMES
    reasons[present == 0] = Reason.GAP
    worst = flaws.max(axis=1, initial=0)
    reasons[worst > 0] = worst[worst > 0]
    return reasons


def _mark_outside(reasons: Reasons, slots: NDArray[np.int64]) -> None:
    """Tell windows before the first frame and after the last from holes."""
    gaps = np.flatnonzero(reasons == Reason.GAP)
    if len(slots):
        gaps = gaps[(gaps < slots[0]) | (gaps > slots[-1])]
    reasons[gaps] = Reason.OUTSIDE


def _mark_short_runs(reasons: Reasons, frames: Frames, min_run: int) -> None:
    """Mark windows that are whole but touch a run of fewer than ``min_run`` frames."""
    present = np.concatenate(([False], frames >= 0, [False]))
    edges = np.flatnonzero(np.diff(present))
    starts, stops = edges[::2], edges[1::2]
    width = len(frames) // max(1, len(reasons))
    for start, stop in zip(starts, stops, strict=True):
        if stop - start < min_run:
            part = reasons[start // width : (stop - 1) // width + 1]
            part[part == Reason.VALID] = Reason.SHORT_RUN
