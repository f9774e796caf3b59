"""Measure, print the table, write JSON; the exit code is 0 whatever the figures are."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.lightcurves import measure
from benchmarks.parts import run_parts


def _count(full: int, scale: float) -> int:
    return max(50, round(full * scale))


PARTS = {
    "open": lambda folder, s: measure.measure_open(folder, _count(400_000, s)),
    "adding": lambda folder, s: measure.measure_adding(folder, _count(20_000, s), _count(500, s), 2),
    "reading": lambda folder, s: measure.measure_reading(folder, _count(10_000, s), _count(500, s)),
    "pending": lambda folder, s: measure.measure_pending(folder, _count(20_000, s)),
    "increments": lambda folder, s: measure.measure_increments(folder, _count(5000, s)),
    "requests": lambda folder, s: measure.measure_requests(_count(5000, s)),
}
"""What is measured, by name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for."""
    return run_parts("lightcurves", PARTS, arguments, scaled="objects and epochs")


if __name__ == "__main__":
    sys.exit(main())
