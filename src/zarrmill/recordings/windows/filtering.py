"""A Butterworth band pass without delay, of every contiguous run for itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError
from zarrmill.recordings.optional import load
from zarrmill.recordings.windows.settings import FilterSettings

Samples = NDArray[np.float64]
PAD_PERIODS = 3
"""Length of the mirrored ends in sections of the filter, as scipy has it: it ends where a run is shorter."""


class RunFilter:
    """Second-order sections, forward and backward; values that are not finite separate runs.

    Of a run that is cut at a block's edge, ``overlap_s`` more on that side make the cut not show: the blocked result
    equals the whole one to 3e-9 with 20 s. A true end of a run is padded in the same way in both. Runs of fewer than
    ``least`` samples become NaN: what a filter makes of them is its own echo.
    """

    def __init__(self, settings: FilterSettings, *, rate_hz: float, least: int = 0) -> None:
        if settings.high_hz >= rate_hz / 2:
            raise InvalidInputError(
                f"filter up to {settings.high_hz} Hz needs more than {2 * settings.high_hz} samples per second, and "
                f"there are {rate_hz:.1f}. Lower filter.high_hz."
            )
        self._signal = load("scipy.signal")
        self._least = least
        band = (settings.low_hz, settings.high_hz) if settings.low_hz else settings.high_hz
        kind = "bandpass" if settings.low_hz else "lowpass"
        self._sections = self._signal.butter(settings.order, band, btype=kind, fs=rate_hz, output="sos")

    def apply(self, samples: Samples) -> Samples:
        """Return (channels, samples) filtered; what is not finite stays NaN, and so do its neighbours nothing."""
        out = np.full(samples.shape, np.nan)
        finite = np.isfinite(samples)
        shared = np.asarray(finite.all(axis=0))
        # Where channels have their holes in common, which is nearly always, they are filtered together.
        if np.array_equal(finite.any(axis=0), shared):
            self._apply_runs(samples, shared, out)
            return out
        for row, there, into in zip(samples, finite, out, strict=True):
            self._apply_runs(row[None], there, into[None])
        return out

    def _apply_runs(self, samples: Samples, there: NDArray[np.bool_], out: Samples) -> None:
        edges = np.flatnonzero(np.diff(np.concatenate(([False], there, [False]))))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            if stop - start >= self._least:
                out[:, start:stop] = self._apply_run(samples[:, start:stop])

    def _apply_run(self, run: Samples) -> Samples:
        usual = PAD_PERIODS * (2 * len(self._sections) + 1)
        pad = min(usual, run.shape[1] - 1)
        filtered: Samples = self._signal.sosfiltfilt(self._sections, run, axis=-1, padlen=pad)
        return filtered
