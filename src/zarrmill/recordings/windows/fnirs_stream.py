"""fNIRS of some windows: one frame each, the channels that are wanted, chunk of windows by chunk of windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from zarrmill.recordings.windows.frame_source import FrameReader, FrameSource, Values
from zarrmill.recordings.windows.settings import Scale

Signal = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class FnirsJob:
    """What is to be made of the fNIRS."""

    source: FrameSource
    """Where the frames lie."""
    frames: NDArray[np.int64]
    """(windows,) frame of each window, -1 for none; those that are there never fall."""
    channels: NDArray[np.int32]
    """Channels that are kept, by their numbers in the file."""
    scale: Scale
    """Values as they are or their logarithm."""


def read_fnirs(job: FnirsJob, reader: FrameReader, first: int, stop: int, *, chunk: int) -> Iterator[Signal]:
    """Yield (windows, channels) of ``chunk`` windows each, from one window up to another.

    NaN stands for no frame and for what is not finite. Frames are read in one go, so that no chunk of the file is
    decoded twice for being in two chunks of windows.
    """
    frames = job.frames[first:stop]
    wanted = np.unique(frames[frames >= 0])
    pieces = reader.each(wanted, job.channels, partial(pick_values, scale=job.scale))
    out, done = _nothing(job, chunk, first, stop), first
    for piece in pieces:
        # Frames never fall from window to window, so that a piece fills windows that follow each other.
        mine = np.flatnonzero((frames >= piece.frames[0]) & (frames <= piece.frames[-1]))
        rows = np.searchsorted(piece.frames, frames[mine])
        for window, row in zip((mine + first).tolist(), rows.tolist(), strict=True):
            while window >= done + len(out):
                yield out
                done += len(out)
                out = _nothing(job, chunk, done, stop)
            out[window - done] = piece.made[row]
    while done < stop:
        yield out
        done += len(out)
        out = _nothing(job, chunk, done, stop)


def _nothing(job: FnirsJob, chunk: int, start: int, stop: int) -> Signal:
    return np.full((max(0, min(chunk, stop - start)), len(job.channels)), np.nan, dtype=np.float32)


def pick_values(values: Values, *, scale: Scale) -> Signal:
    """Return (frames, channels) values as they are stored: linear or logarithm, NaN for all that is not finite.

    >>> pick_values(np.array([[[-np.inf], [np.e]]]), scale="log").tolist()
    [[nan, 1.0]]
    """
    picked = values[:, :, 0]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if scale == "log":
            picked = np.log(picked)
        made = picked.astype(np.float32)
    made[~np.isfinite(made)] = np.nan
    return made
