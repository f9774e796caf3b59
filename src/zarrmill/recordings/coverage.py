"""When a device had frames, and when it had none: pure, from the times of its frames alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GAP_PERIODS = 1.5
"""Periods from one frame to the next from which on something is missing between them."""


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """What one device covers."""

    name: str
    """"eeg" or "fnirs"."""
    period_ms: float
    """Median time from frame to frame; NaN where fewer than two times differ."""
    spans: NDArray[np.float64]
    """(spans, 2) start and end of everything without a gap, epoch milliseconds; the last frame lasts a period too."""

    @property
    def gaps(self) -> NDArray[np.float64]:
        """(gaps, 2) start and end of what is missing between the first frame and the last."""
        return np.column_stack((self.spans[:-1, 1], self.spans[1:, 0]))


def find_coverage(name: str, times: NDArray[np.float64]) -> Coverage:
    """Return what a device covers by the times of its frames, in any order; frames without a time cover nothing.

    >>> covered = find_coverage("eeg", np.array([0.0, 30, 60, 200, 230, np.nan]))
    >>> covered.spans.tolist(), covered.gaps.tolist()
    ([[0.0, 90.0], [200.0, 260.0]], [[90.0, 200.0]])
    """
    known = np.unique(times[~np.isnan(times)])
    steps = np.diff(known)
    period = float(np.median(steps)) if len(steps) else float("nan")
    breaks = np.flatnonzero(steps > GAP_PERIODS * period)
    starts = known[np.concatenate(([0], breaks + 1))] if len(known) else known
    ends = known[np.concatenate((breaks, [len(known) - 1]))] if len(known) else known
    return Coverage(name, period, np.column_stack((starts, ends + (0.0 if np.isnan(period) else period))))
