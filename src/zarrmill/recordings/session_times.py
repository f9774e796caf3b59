"""When a session started and ended, and which part of it had passed at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zarrmill.recordings.event_codes import severity_of
from zarrmill.recordings.model import EventRow
from zarrmill.recordings.problems import NO_ROW, InputProblem
from zarrmill.recordings.timestamps import is_usual

Floats = NDArray[np.float64]
PATH = "metadata"
"""Where the start of a session is stored."""


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """The span of a session by the client's clock."""

    start: float
    """Start as the metadata have it, epoch milliseconds; NaN where they have none."""
    end: float
    """Time of the last event; NaN without events that have a time. Odd times, as one in microseconds, do not count."""

    @classmethod
    def of(cls, events: Sequence[EventRow], start: float) -> SessionTimes:
        """Return the span from a start to the last event."""
        times = np.array([event.client_time for event in events], dtype=np.float64)
        times = times[is_usual(times)]
        return cls(start, float(times.max()) if len(times) else float("nan"))

    def relative(self, times: Floats) -> Floats:
        """Return milliseconds since the start; NaN where that is not known."""
        return times - self.start

    def fraction(self, times: Floats) -> Floats:
        """Return the part of the session before each time, in [0, 1]; NaN outside of the session.

        >>> SessionTimes(100, 300).fraction(np.array([100.0, 150, 300, 99]))
        array([0.  , 0.25, 1.  ,  nan])
        """
        length = self.end - self.start
        if not length > 0:
            return np.full(len(times), np.nan)
        fractions = (times - self.start) / length
        return np.where((fractions >= 0) & (fractions <= 1), fractions, np.nan)

    def find_problems(self, starts: Floats) -> list[InputProblem]:
        """Return what keeps tasks with these starts from having relative times."""
        if len(starts) and not self.end > self.start:
            message = "no start of the session before its last event: times relative to it are missing"
            return [InputProblem(PATH, NO_ROW, "no_session_span", severity_of("no_session_span"), message)]
        if before := int(np.sum(starts < self.start)):
            message = f"{before} tasks start before the session: their part of it is missing"
            return [InputProblem(PATH, NO_ROW, "before_session_start", severity_of("before_session_start"), message)]
        return []
