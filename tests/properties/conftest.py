"""Fixtures of the property tests."""

from __future__ import annotations

import pytest

from zarrmill.plan import arrays
from zarrmill.plan.cost import Rates


@pytest.fixture
def prefer_passes(monkeypatch):
    """Return a function that makes the planner take an intermediate: 2 passes, or 4 where they make fewer segments.

    Reading a chunk again gets so dear that no plan does it; then either the bytes of an intermediate cost, or its
    segments.
    """

    def prefer(passes: int) -> None:
        scratch, segment = (1e-3, 1e-15) if passes == 2 else (1e-15, 1.0)
        rates = Rates(decode=1e-12, touch=1e3, scratch=scratch, segment=segment, tile=1e-15)
        monkeypatch.setattr(arrays, "RATES", rates)

    return prefer
