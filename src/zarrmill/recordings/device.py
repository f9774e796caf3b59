"""A device of a recording: when its frames are from, and the frames themselves, read block by block."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zarrmill.recordings.hdf5 import Hdf5Dataset, Hdf5File, UnreadableError
from zarrmill.recordings.problems import Findings
from zarrmill.recordings.timestamps import Times, read_times

DeviceName = Literal["eeg", "fnirs"]
"""Devices that are read."""
NAMES: tuple[DeviceName, ...] = ("eeg", "fnirs")
LAYOUTS = (("devices/{}", "frames_data"), ("{}", "data"))
"""Group and name of the frames by device: as recorders write them now, and as they did."""
CLOCKS = ("first", "frame", "third")
"""Columns of the timestamps; only the second is used."""
FRAME_CLOCK = 1


@dataclass(frozen=True, slots=True, eq=False)
class Device:
    """The frames of one device; they are read while the recording is open."""

    name: DeviceName
    """"eeg" or "fnirs"."""
    path: str
    """Dataset of the frames in the file."""
    times: Times = field(repr=False)
    """(frames,) epoch milliseconds, column 1 of the timestamps as they stand in the file; NaN where one is missing."""
    shape: tuple[int, ...]
    """Frames first: (frames, channels, samples) for EEG, (frames, channels, 1) for fNIRS."""
    dtype: np.dtype[Any]
    """Type of the values."""
    chunks: tuple[int, ...] | None
    """Chunk shape in the file; None where the frames lie in one piece."""
    dataset: Hdf5Dataset = field(repr=False)
    """What is read from."""

    def read(self, start: int, stop: int, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return frames from ``start`` up to ``stop``, with all of their channels, into ``out`` where that is given.

        Whole chunks are fastest: let both be multiples of ``chunks[0]``, as every chunk that is touched is decoded.
        Raises SourceFormatError where the file cannot be read.
        """
        return self.dataset.read(start, stop, out=out)


def read_devices(file: Hdf5File, findings: Findings) -> dict[DeviceName, Device]:
    """Return the devices whose frames can be read, in either layout, and report what is wrong."""
    found = {name: _read_device(file, name, findings) for name in NAMES}
    devices = {name: device for name, device in found.items() if device is not None}
    if not devices:
        findings.add("no_device", "devices", "there are neither EEG nor fNIRS frames")
    return devices


def _read_device(file: Hdf5File, name: DeviceName, findings: Findings) -> Device | None:
    places = [(group.format(name), frames) for group, frames in LAYOUTS]
    present = [(group, frames) for group, frames in places if _is_there(file, group, findings)]
    if not present:
        return None
    if len(present) > 1:
        findings.add("two_layouts", present[1][0], f"{name} stands in both layouts; {present[0][0]} is used")
    group, frames = present[0]
    dataset = _find_frames(file, f"{group}/{frames}", findings)
    if dataset is None:
        return None
    times = _read_times(file, f"{group}/timestamps", len(dataset), findings)
    return Device(name, dataset.path, times, dataset.shape, dataset.dtype, dataset.chunks, dataset)


def _is_there(file: Hdf5File, group: str, findings: Findings) -> bool:
    try:
        kind = file.kind(group)
    except UnreadableError as error:
        findings.add("unreadable", group, error.fault)
        return False
    if kind not in (None, "group"):
        findings.add("wrong_kind", group, f"there is a {kind} where the format has a group; it is not read")
    return kind == "group"


def _find_frames(file: Hdf5File, path: str, findings: Findings) -> Hdf5Dataset | None:
    try:
        dataset = file.dataset(path)
    except UnreadableError as error:
        findings.add("no_frames", path, f"{error.fault}; the device is left out")
        return None
    if dataset.dtype.kind not in "fiu":
        findings.add("wrong_type", path, f"frames are {dataset.dtype} and no numbers; the device is left out")
        return None
    if len(dataset.shape) != 3:
        wanted = f"shape {dataset.shape}, not (frames, channels, samples)"
        findings.add("wrong_shape", path, f"frames have the {wanted}; the device is left out")
        return None
    return dataset


def _read_times(file: Hdf5File, path: str, frames: int, findings: Findings) -> Times:
    try:
        dataset = file.dataset(path)
    except UnreadableError as error:
        findings.add("no_timestamps", path, f"{error.fault}; all {frames} times are missing")
        return np.full(frames, np.nan)
    table = read_times(dataset, frames, columns=CLOCKS, checked=(FRAME_CLOCK,), findings=findings)
    times = table[:, FRAME_CLOCK].copy()
    _report_order(times, path, findings)
    return times


def _report_order(times: Times, path: str, findings: Findings) -> None:
    """Report times that do not increase, leaving out those that are missing."""
    known = np.flatnonzero(~np.isnan(times))
    back = known[1:][np.diff(times[known]) <= 0]
    if len(back):
        findings.add("time_order", path, f"{len(back)} times are not later than the one before", row=int(back[0]))
