"""Stretches of windows of one reason, for pictures and exports: when a device was there, and why not elsewhere."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.recordings.windows.reasons import Reason, Reasons
from zarrmill.recordings.windows.window_reader import DEVICES, Device, times_ms

if TYPE_CHECKING:
    import xarray

    from zarrmill.recordings.windows.window_plan import WindowPlan


@dataclass(frozen=True, slots=True)
class Stretch:
    """Windows that follow each other and are valid, or not for the same reason."""

    device: Device
    """The device that is meant."""
    reason: Reason
    """Why they are not valid, or that they are."""
    start_ms: float
    """When the first begins, epoch milliseconds."""
    end_ms: float
    """When the last ends."""
    windows: int
    """How many they are."""

    def to_json(self) -> dict[str, Any]:
        """Return the stretch as JSON values, its reason by name."""
        return {**asdict(self), "reason": self.reason.name.lower()}


def stretches_of(windows: xarray.Dataset) -> list[Stretch]:
    """Return the stretches of a store as ``open_windows`` gives it, device by device in order of time."""
    times, length = times_ms(windows), float(windows.attrs["window_ms"])
    return [s for device in DEVICES for s in find_stretches(times, length, device, windows[f"{device}_reason"].values)]


def stretches_of_plan(plan: WindowPlan) -> list[Stretch]:
    """Return the stretches of a plan, for a recording whose windows are not written."""
    found = {"eeg": plan.eeg.reasons, "fnirs": plan.fnirs.reasons}
    return [s for device in DEVICES for s in find_stretches(plan.times, plan.period_ms, device, found[device])]


def find_stretches(times: NDArray[np.float64], length: float, device: Device, reasons: Reasons) -> list[Stretch]:
    """Return the stretches of one device.

    >>> [(s.reason.name, s.windows) for s in find_stretches(np.arange(4) * 1.0, 1.0, "eeg", np.array([0, 0, 3, 0]))]
    [('VALID', 2), ('GAP', 1), ('VALID', 1)]
    """
    if not len(reasons):
        return []
    edges = [0, *(np.flatnonzero(np.diff(reasons)) + 1).tolist(), len(reasons)]
    return [
        Stretch(device, Reason(int(reasons[a])), float(times[a]), float(times[b - 1] + length), b - a)
        for a, b in itertools.pairwise(edges)
    ]
