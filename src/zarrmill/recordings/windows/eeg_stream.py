"""EEG of some windows: frames put at their places, filtered run by run with what lies beside them, cut into windows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zarrmill.recordings.windows.filtering import RunFilter, Samples
from zarrmill.recordings.windows.frame_source import FrameReader, FrameSource, Values
from zarrmill.recordings.windows.settings import FilterSettings

Signal = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class EegJob:
    """What is to be made of the EEG."""

    source: FrameSource
    """Where the frames lie."""
    places: NDArray[np.int64]
    """(windows, frames of a window) frame at each place, -1 for none."""
    channels: NDArray[np.int64]
    """Channels that are kept, from 0."""
    samples: int
    """Samples of a frame."""
    frame_ms: float
    """Period of frames, measured."""
    filter: FilterSettings | None
    """Filter, None for none."""
    min_run: int
    """Frames with finite values below which a run is not filtered."""

    @property
    def window_shape(self) -> tuple[int, int]:
        """Channels and samples of a window."""
        return len(self.channels), self.places.shape[1] * self.samples

    @property
    def overlap(self) -> int:
        """Frames that are read beyond either end of what is made at once."""
        if self.filter is None:
            return 0
        return max(self.min_run, math.ceil(self.filter.overlap_s * 1000 / self.frame_ms))


def read_eeg(job: EegJob, reader: FrameReader, first: int, stop: int) -> Signal:
    """Return (windows, channels, samples) of windows from one up to another; NaN where there is no frame.

    The result does not depend on where it is cut: frames beyond both ends are filtered along and left out.
    """
    flat, width = job.places.reshape(-1), job.places.shape[1]
    start, end = first * width, stop * width
    low, high = max(0, start - job.overlap), min(len(flat), end + job.overlap)
    samples = _gather(job, reader, flat[low:high])
    if job.filter is not None:
        rate, least = 1000 * job.samples / job.frame_ms, job.min_run * job.samples
        samples = RunFilter(job.filter, rate_hz=rate, least=least).apply(samples)
    cut = samples[:, (start - low) * job.samples : (end - low) * job.samples]
    windows = cut.reshape(len(job.channels), stop - first, width * job.samples)
    return np.ascontiguousarray(windows.transpose(1, 0, 2), dtype=np.float32)


def _gather(job: EegJob, reader: FrameReader, places: NDArray[np.int64]) -> Samples:
    """Return (channels, samples) of the frames at some places, in the order of the places."""
    out = np.full((len(job.channels), len(places), job.samples), np.nan)
    there = np.flatnonzero(places >= 0)
    there = there[np.argsort(places[there], kind="stable")]
    done = 0
    for piece in reader.each(places[there], job.channels, _by_channel):
        out[:, there[done : done + len(piece.frames)]] = piece.made
        done += len(piece.frames)
    return out.reshape(len(job.channels), -1)


def _by_channel(values: Values) -> Values:
    return values.transpose(1, 0, 2)
