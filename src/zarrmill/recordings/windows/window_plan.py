"""All windows of a recording, planned from timestamps alone: nothing of the signals is read for it.

>>> eeg = 1.7e12 + 30.0 * np.concatenate([np.arange(700), np.arange(1050, 2100)])  # a hole of 10.5 s
>>> plan = plan_windows(eeg=eeg, fnirs=1.7e12 + 210.0 * np.arange(300))
>>> plan.count, plan.period_ms, count_reasons(plan.eeg.reasons)
(300, 210.0, {'valid': 250, 'gap': 50})
>>> float(plan.times[150] - 1.7e12), plan.eeg.frames[150].tolist()
(31500.0, [700, 701, 702, 703, 704, 705, 706])
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zarrmill.recordings.windows.clock import Clock, Times, fit_clock, measure_period
from zarrmill.recordings.windows.frames import EegFrames, FnirsFrames, choose_eeg, choose_fnirs
from zarrmill.recordings.windows.ordering import Ordered, sort_out
from zarrmill.recordings.windows.reasons import Reason, count_reasons
from zarrmill.recordings.windows.settings import DEFAULT_SETTINGS, WindowSettings
from zarrmill.recordings.windows.slots import SAME_PERIOD, Slots, find_phase, slots_of

FRAME_MS = 30.0
"""An EEG frame by the format: 15 samples at 500 Hz. What a file has is measured."""
MARGIN_MS = FRAME_MS / 2
"""Jitter that the nearest fNIRS frame may have beyond its tolerance."""
ODD_PERIOD = 0.02
"""Part by which a measured period may differ from the format's before people are told."""
APART = "EEG and fNIRS do not overlap in time"
DAY_MS = 24 * 3600 * 1000.0
MOST_SPAN_MS = 4 * DAY_MS
"""Time that windows may span: a device whose times are in seconds is fifty years away, and would make 8e9 of them."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowPlan:
    """Every window: its time, the frames that fill it, and why it is not valid where it is not."""

    times: Times
    """(windows,) time at which each begins, epoch milliseconds."""
    first: int
    """Index of the first of these windows on the full clock grid."""
    frames_per_window: int
    """EEG frames of a window."""
    period_ms: float
    """Length of a window, measured."""
    eeg_period_ms: float
    """Period of EEG frames, measured; NaN without EEG."""
    fnirs_period_ms: float
    """Period of fNIRS frames, measured; NaN without fNIRS."""
    fnirs_phase: float
    """Where in a window its fNIRS frame typically lies, from 0 to 1."""
    eeg: EegFrames
    """The EEG frames; none where there is no EEG."""
    fnirs: FnirsFrames
    """The fNIRS frames; none where there is no fNIRS."""
    has_eeg: bool
    """Whether the recording has EEG."""
    has_fnirs: bool
    """Whether the recording has fNIRS."""
    common: tuple[int, int]
    """First window that every device covers, and the one after the last; (0, 0) where none does."""
    notes: tuple[str, ...]
    """What people should know."""

    @property
    def count(self) -> int:
        """Windows."""
        return len(self.times)

    @property
    def frames_per_fnirs(self) -> float:
        """EEG frames per fNIRS frame, measured; NaN where one of them is missing."""
        return self.fnirs_period_ms / self.eeg_period_ms

    def used(self, frames: NDArray[np.int64]) -> tuple[int, int]:
        """Return the first frame of the windows that all devices cover, and the one after the last."""
        found = frames[slice(*self.common)]
        found = found[found >= 0]
        return (int(found.min()), int(found.max()) + 1) if found.size else (0, 0)

    def to_json(self) -> dict[str, Any]:
        """Return a summary as JSON values: counts by reason, measured periods, spans."""
        return {
            "windows": self.count,
            "frames_per_window": self.frames_per_window,
            "period_ms": self.period_ms,
            "eeg_period_ms": _number(self.eeg_period_ms),
            "fnirs_period_ms": _number(self.fnirs_period_ms),
            "eeg_frames_per_fnirs_frame": _number(self.frames_per_fnirs),
            "fnirs_phase": self.fnirs_phase,
            "start_ms": float(self.times[0]) if self.count else None,
            "end_ms": float(self.times[-1] + self.period_ms) if self.count else None,
            "common": list(self.common),
            "eeg": count_reasons(self.eeg.reasons),
            "fnirs": count_reasons(self.fnirs.reasons),
            "notes": list(self.notes),
        }


class Timed(Protocol):
    """A device, of which a plan needs no more than this."""

    @property
    def times(self) -> Times:
        """(frames,) epoch milliseconds, NaN where missing."""


def plan_devices(devices: Mapping[Any, Timed], settings: WindowSettings = DEFAULT_SETTINGS) -> WindowPlan:
    """Plan every window of the devices "eeg" and "fnirs", of which either may be absent."""
    times = {name: device.times for name, device in devices.items()}
    return plan_windows(eeg=times.get("eeg"), fnirs=times.get("fnirs"), settings=settings)


def plan_windows(*, eeg: Times | None, fnirs: Times | None, settings: WindowSettings = DEFAULT_SETTINGS) -> WindowPlan:
    """Plan every window from the frames' times (epoch milliseconds, NaN where missing); None for an absent device.

    Without EEG the windows follow the fNIRS frames where those come about once per window, else plain time. Without
    any frame that has a time there are no windows, and the notes say so.
    """
    found_eeg, found_fnirs = (sort_out(np.zeros(0) if times is None else times) for times in (eeg, fnirs))
    slots = _make_slots(found_eeg.kept_times, found_fnirs.kept_times, settings)
    phase = find_phase(slots, found_fnirs.kept_times)
    spans = _spans(slots, found_eeg.kept_times, found_fnirs.kept_times, phase)
    slots, common = _cover(slots, spans, only_common=settings.span == "common")
    min_run = settings.min_run(slots.clock.period)
    chosen = choose_eeg(slots, found_eeg, tolerance=settings.tolerance, min_run=min_run)
    fnirs_period = measure_period(found_fnirs.kept_times, np.nan)
    within = MARGIN_MS + settings.fnirs_tolerance * float(np.nanmax([slots.period, fnirs_period]))
    nearest = choose_fnirs(slots, found_fnirs, phase=phase, within=within)
    plan = WindowPlan(
        times=slots.times,
        first=slots.first - min((span[0] for span in spans), default=0),
        frames_per_window=slots.ticks,
        period_ms=slots.period,
        eeg_period_ms=slots.clock.period if len(found_eeg.kept) else float("nan"),
        fnirs_period_ms=fnirs_period,
        fnirs_phase=phase,
        eeg=chosen if eeg is not None else _without_eeg(chosen),
        fnirs=nearest if fnirs is not None else _without_fnirs(nearest),
        has_eeg=eeg is not None,
        has_fnirs=fnirs is not None,
        common=common,
        notes=(),
    )
    return replace(plan, notes=tuple(_notes(plan, (("EEG", found_eeg), ("fNIRS", found_fnirs)))))


def _make_slots(eeg: Times, fnirs: Times, settings: WindowSettings) -> Slots:
    """Return slots on the clock of the EEG, else on that of the fNIRS, else on plain time; none of them placed yet."""
    if len(eeg):
        clock = fit_clock(eeg, FRAME_MS)
        return Slots(clock, settings.frames_per_window or max(1, round(settings.window_ms / clock.period)))
    length = settings.window_ms
    if abs(measure_period(fnirs, length) / length - 1) <= SAME_PERIOD:
        return Slots(fit_clock(fnirs, length), 1)
    return Slots(Clock(float(fnirs[0]), length), 1)


def _spans(slots: Slots, eeg: Times, fnirs: Times, phase: float) -> list[tuple[int, int]]:
    """Return the first and last slot of each device that has frames."""
    ticks = slots.clock.nearest(eeg) // slots.ticks
    places = (ticks, slots_of(slots, fnirs, phase))
    return [(int(found.min()), int(found.max())) for found in places if len(found)]


def _cover(slots: Slots, spans: list[tuple[int, int]], *, only_common: bool) -> tuple[Slots, tuple[int, int]]:
    """Return the slots placed over all spans or their intersection, and the intersection among them."""
    if not spans:
        return slots, (0, 0)
    first, last = min(span[0] for span in spans), max(span[1] for span in spans)
    if (last - first) * slots.period > MOST_SPAN_MS:
        return slots, (0, 0)
    start, stop = max(span[0] for span in spans), min(span[1] for span in spans) + 1
    if only_common and start < stop:
        return slots.cover(start, stop - 1), (0, stop - start)
    common = (start - first, stop - first) if start < stop else (0, 0)
    return (slots.cover(first, last) if not only_common else slots), common


def _without_eeg(found: EegFrames) -> EegFrames:
    return replace(found, reasons=np.full_like(found.reasons, Reason.NO_DEVICE))


def _without_fnirs(found: FnirsFrames) -> FnirsFrames:
    return replace(found, reasons=np.full_like(found.reasons, Reason.NO_DEVICE))


def _notes(plan: WindowPlan, devices: tuple[tuple[str, Ordered], ...]) -> list[str]:
    """Return what people should know, in plain sentences."""
    notes = []
    if not plan.count:
        timed = all(len(found.kept) for _, found in devices)
        notes.append(f"there are no windows: {APART if timed else 'no frame has a time'}")
    if all(len(found.kept) for _, found in devices):
        days = abs(np.subtract(*(found.kept_times[0] for _, found in devices))) / DAY_MS
        if days * DAY_MS > MOST_SPAN_MS:
            notes.append(f"EEG and fNIRS are {days:,.0f} days apart: the times of one of them are wrong")
    for (name, found), there in zip(devices, (plan.has_eeg, plan.has_fnirs), strict=True):
        if not there:
            notes.append(f"there is no {name}: its windows are not valid and its signal is absent")
        counts = ((found.untimed, "have no time"), (found.duplicate, "have the time of another"))
        notes += [f"{len(frames)} {name} frames {what}" for frames, what in counts if len(frames)]
        if len(found.backward):
            notes.append(f"{len(found.backward)} {name} frames have times that run backwards")
    if plan.count and plan.has_eeg and plan.has_fnirs and plan.common[0] == plan.common[1]:
        notes.append(f"{APART}: no window has both")
    if abs(plan.eeg_period_ms / FRAME_MS - 1) > ODD_PERIOD:
        notes.append(f"EEG frames come every {plan.eeg_period_ms:.3f} ms where the format has {FRAME_MS:g}")
    if plan.has_eeg and plan.has_fnirs and abs(plan.frames_per_fnirs / plan.frames_per_window - 1) > ODD_PERIOD:
        notes.append(f"{plan.frames_per_fnirs:.2f} EEG frames per fNIRS frame, not {plan.frames_per_window}")
    return notes


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
