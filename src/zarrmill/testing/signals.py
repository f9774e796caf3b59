"""Signals whose truth is known: what the clock of a device did, and the value of every channel at every time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zarrmill.testing.timeline import START

EEG_CHANNELS, EEG_SAMPLES, EEG_SAMPLE_MS = 28, 15, 2.0
"""An EEG frame: 28 channels of 15 samples at 500 Hz."""
FNIRS_CHANNELS, MODULES, SOURCES, DETECTORS, MOMENTS = 248_832, 48, 3, 6, 3
"""An fNIRS frame: 2 wavelengths, 3 moments, 48 modules of 3 sources, 48 modules of 6 detectors."""
STEP_BACK_MS = 2.0
"""Milliseconds by which a clock steps back behind the time before, where it does."""


@dataclass(frozen=True, slots=True)
class SignalSpec:
    """What a device records, and what its clock does."""

    device: Literal["eeg", "fnirs"]
    """Which device it is."""
    frames: int
    """Frames that are recorded, before duplicates."""
    period_ms: float
    """Nominal time from frame to frame."""
    offset_ms: float = 0.0
    """When the first frame is from, after the start of the session."""
    drift_ppm: float = 0.0
    """By how many millionths the true period is longer than the nominal one."""
    jitter_ms: float = 0.0
    """Largest error of a stored time, to either side."""
    gaps: tuple[tuple[int, float], ...] = ()
    """Frame before which nothing was recorded, and for how many milliseconds."""
    duplicates: tuple[int, ...] = ()
    """Frames that are stored twice, one after the other."""
    backward: tuple[int, ...] = ()
    """Rows whose stored time is before that of the row before."""
    missing: tuple[int, ...] = ()
    """Rows whose stored time is NaN."""
    modules: tuple[int, ...] = (1, 2)
    """Modules from 1 to 48 whose own sources and detectors give values; fNIRS only."""
    old_layout: bool = False
    """Whether it stands in ``eeg/data`` as files once had it, and not in ``devices/eeg/frames_data``."""
    chunks: tuple[int, ...] | None = None
    """Chunk shape in the file; None for the usual one."""


EEG = SignalSpec("eeg", 2_000, 30.0)
"""A minute of EEG without faults."""
FNIRS = SignalSpec("fnirs", 205, 292.8)
"""A minute of fNIRS without faults: 9.76 frames of EEG to one of fNIRS, as in a real file."""


@dataclass(frozen=True, slots=True, eq=False)
class SignalTruth:
    """What a device saw."""

    spec: SignalSpec
    """What was asked for."""
    start: float
    """True time of the first frame, epoch milliseconds."""
    period_ms: float
    """True time from frame to frame."""
    times: NDArray[np.float64]
    """(rows,) true time of each row."""
    stored_times: NDArray[np.float64]
    """(rows,) what the file says, with jitter, backward steps and NaN."""
    frames: NDArray[np.int64]
    """(rows,) which frame a row holds: a duplicate has that of the row before."""
    gaps: tuple[tuple[float, float], ...]
    """True times of the last frame before each gap and the first one after it."""

    @property
    def channels(self) -> NDArray[np.int64]:
        """Channels that have values: all of EEG, those within one module of fNIRS."""
        if self.spec.device == "eeg":
            return np.arange(EEG_CHANNELS)
        return find_finite(self.spec.modules)

    def values(self, start: int, stop: int, *, channels: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the values of rows, (rows, channels, samples) for EEG and (rows, channels) for fNIRS.

        Those of fNIRS are only true of ``channels``; all others are -inf in the file.
        """
        wanted = np.asarray(channels, dtype=np.int64)
        since = self.times[start:stop] - START
        return _eeg_values(since, wanted) if self.spec.device == "eeg" else _fnirs_values(since, wanted)


def plan_signal(spec: SignalSpec, *, seed: int = 0) -> SignalTruth:
    """Return what a device sees; nothing is written, and the same seed gives the same times.

    >>> truth = plan_signal(SignalSpec("eeg", 4, 30.0, gaps=((2, 100.0),), duplicates=(3,)))
    >>> (truth.times - truth.start).tolist(), truth.frames.tolist()
    ([0.0, 30.0, 160.0, 190.0, 190.0], [0, 1, 2, 3, 3])
    """
    period = spec.period_ms * (1 + spec.drift_ppm * 1e-6)
    number = np.arange(spec.frames)
    lost = np.zeros(spec.frames)
    for frame, milliseconds in spec.gaps:
        lost[frame:] += milliseconds
    true = START + spec.offset_ms + number * period + lost
    frames = np.sort(np.concatenate((number, np.asarray(spec.duplicates, dtype=np.int64))))
    jitter = np.random.default_rng(seed).uniform(-spec.jitter_ms, spec.jitter_ms, spec.frames)
    stored = (true + jitter)[frames]
    for row in spec.backward:
        stored[row] = stored[row - 1] - STEP_BACK_MS
    stored[list(spec.missing)] = np.nan
    start = float(true[0]) if spec.frames else START + spec.offset_ms
    gaps = tuple((float(true[frame - 1]), float(true[frame])) for frame, _ in spec.gaps)
    return SignalTruth(spec, start, period, true[frames], stored, frames, gaps)


def find_finite(modules: Sequence[int]) -> NDArray[np.int64]:
    """Return the channels of fNIRS whose source and detector are in one of these modules.

    >>> len(find_finite((1, 2))), find_finite((1,))[:3].tolist(), find_finite((2,))[0].item()
    (216, [0, 1, 2], 870)
    """
    kind = np.arange(2 * MOMENTS)[:, None, None, None]
    module = np.asarray(sorted(modules), dtype=np.int64)[None, :, None, None] - 1
    source = np.arange(SOURCES)[None, None, :, None]
    detector = np.arange(DETECTORS)
    index = (((kind * MODULES + module) * SOURCES + source) * MODULES + module) * DETECTORS + detector
    return np.sort(index.ravel())


def _eeg_values(since: NDArray[np.float64], channels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return a sine of 2 to 15.5 Hz and 10 to 37 units for each channel, around 50."""
    seconds = (since[:, None, None] + EEG_SAMPLE_MS * np.arange(EEG_SAMPLES)) / 1000
    channel = channels[None, :, None]
    wave = np.sin(2 * np.pi * (2.0 + 0.5 * channel) * seconds + channel)
    return np.asarray(50.0 + (10.0 + channel) * wave, dtype=np.float64)


def _fnirs_values(since: NDArray[np.float64], channels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return a slow wave of 10 s around a level for each channel, 0.09 to 1.16, in numbers that float32 holds too."""
    level = 0.1 + (channels % 1009) / 1009
    values = level * (1 + 0.05 * np.sin(2 * np.pi * since[:, None] / 10_000 + channels % 97))
    return values.astype(np.float32).astype(np.float64)
