"""Windows in a picture of a session: a lane per device, valid windows in one colour, others in that of their reason."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.recordings.optional import load
from zarrmill.recordings.recording import open_recording
from zarrmill.recordings.windows.coverage import Stretch, stretches_of, stretches_of_plan
from zarrmill.recordings.windows.reasons import Reason
from zarrmill.recordings.windows.window_plan import WindowPlan, plan_devices
from zarrmill.recordings.windows.window_reader import DEVICES, Device, open_windows
from zarrmill.store import is_local, local_path

if TYPE_CHECKING:
    import xarray

NAMES: Mapping[str, str] = {"eeg": "EEG", "fnirs": "fNIRS"}
SHOWN: Mapping[Reason, tuple[str, str]] = {
    Reason.VALID: ("valid", "#2f9e55"),
    Reason.NO_DEVICE: ("no device", "#e9e9e9"),
    Reason.OUTSIDE: ("device not running", "#d0d0d0"),
    Reason.GAP: ("gap", "#d1342f"),
    Reason.MISSING_FRAMES: ("frames missing", "#f0a202"),
    Reason.OFF_TIME: ("frame off its time", "#e06fb0"),
    Reason.DUPLICATE_TIMES: ("a time twice", "#7b3fa0"),
    Reason.BACKWARD_TIMES: ("time runs backwards", "#2b50b8"),
    Reason.SHORT_RUN: ("too short to filter", "#2b9db8"),
    Reason.NOT_FINITE: ("no values", "#4a3a2c"),
}
"""What the legend says of a reason, and its colour."""


@dataclass(frozen=True, slots=True, eq=False)
class ValidityLane:
    """The windows of one device."""

    device: Device
    """The device."""
    windows: int
    """Windows."""
    valid: int
    """Those that are valid."""
    parts: Mapping[Reason, NDArray[np.float64]]
    """(stretches, 2) start and length in seconds by reason, the valid ones first: what is short is drawn above them."""

    @property
    def label(self) -> str:
        """What stands beside the lane."""
        return f"{NAMES[self.device]} windows\n{self.valid:,} of {self.windows:,} valid"

    @property
    def edges(self) -> NDArray[np.float64]:
        """Starts and ends of all stretches in seconds."""
        return np.concatenate([np.concatenate((bars[:, 0], bars.sum(axis=1))) for bars in self.parts.values()])


def open_stretches(
    source: str | os.PathLike[str] | WindowPlan | xarray.Dataset,
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> list[Stretch]:
    """Return the stretches of a store of windows, of a plan, or of the windows that a curated file would give.

    Of a curated file only times are read. Raises as ``open_windows`` and ``open_recording`` do.
    """
    if isinstance(source, WindowPlan):
        return stretches_of_plan(source)
    if not isinstance(source, str | os.PathLike):
        return stretches_of(source)
    text = os.fspath(source)
    if not (text.endswith(".h5") or (is_local(text) and local_path(text).is_file())):
        return stretches_of(open_windows(text, storage_options=storage_options))
    with open_recording(text, storage_options=storage_options) as recording:
        return stretches_of_plan(plan_devices(recording.devices))


def find_validity_lanes(stretches: Sequence[Stretch], *, origin_ms: float) -> list[ValidityLane]:
    """Return a lane for each device that the recording has, in seconds from an origin.

    >>> (lane,) = find_validity_lanes([Stretch("eeg", Reason.VALID, 500.0, 2600.0, 10)], origin_ms=0.0)
    >>> lane.label.splitlines(), lane.parts[Reason.VALID].tolist()
    (['EEG windows', '10 of 10 valid'], [[0.5, 2.1]])
    """
    lanes = (_make_lane(device, [s for s in stretches if s.device == device], origin_ms) for device in DEVICES)
    return [lane for lane in lanes if set(lane.parts) - {Reason.NO_DEVICE}]


def _make_lane(device: Device, stretches: list[Stretch], origin_ms: float) -> ValidityLane:
    parts = {}
    for reason in SHOWN:
        spans = [(s.start_ms - origin_ms, s.end_ms - s.start_ms) for s in stretches if s.reason is reason]
        if spans:
            parts[reason] = np.array(spans) / 1000
    valid = sum(s.windows for s in stretches if s.reason is Reason.VALID)
    return ValidityLane(device, sum(s.windows for s in stretches), valid, parts)


def draw_validity(axes: Any, lanes: Sequence[ValidityLane], *, first: int, scale: float, height: float) -> None:
    """Draw lanes at places from ``first`` on, ``scale`` seconds to a unit of time, and tell the colours below."""
    for place, lane in enumerate(lanes, first):
        box = (place - height / 2, height)
        for reason, bars in lane.parts.items():
            color = SHOWN[reason][1]
            # An edge in the bar's own colour, so that a single window is seen in a long session too.
            axes.broken_barh(bars / scale, box, facecolor=color, edgecolor=color, linewidth=0.5)
    found = {reason for lane in lanes for reason in lane.parts}
    patch = load("matplotlib.patches").Patch
    handles = [patch(color=color, label=text) for reason, (text, color) in SHOWN.items() if reason in found]
    if handles:
        axes.figure.legend(
            handles=handles, title="windows", loc="outside lower center", ncols=min(6, len(handles)), frameon=False
        )  # fmt: skip
