"""What windows are made from: a local file with its devices, and what the session is called outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zarrmill.recordings.model import SourceFacts
from zarrmill.recordings.windows.frame_source import FrameSource
from zarrmill.recordings.windows.settings import WindowSettings
from zarrmill.recordings.windows.window_plan import WindowPlan, plan_devices


class SignalDevice(Protocol):
    """The frames of one device, as ``recordings.Device`` has them."""

    @property
    def path(self) -> str:
        """Dataset of the frames in the file."""

    @property
    def times(self) -> NDArray[np.float64]:
        """(frames,) epoch milliseconds, NaN where missing."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(frames, channels, samples)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Chunk shape in the file; None where the frames lie in one piece."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowSource:
    """One recording's signals."""

    session_id: str
    """What the session is called in everything that is written."""
    path: Path
    """The file on the local disk."""
    where: str
    """What messages call it."""
    facts: SourceFacts = field(repr=False)
    """Name, size and checksum of the file."""
    devices: Mapping[Any, SignalDevice] = field(repr=False)
    """Devices by their names, "eeg" and "fnirs"; those that are absent are not there."""

    def plan(self, settings: WindowSettings) -> WindowPlan:
        """Plan every window; nothing of the signals is read."""
        return plan_devices(self.devices, settings)

    def frames(self, device: str) -> FrameSource:
        """Return where the frames of a device lie."""
        return FrameSource(self.path, self.devices[device].path, self.where)
