"""Measure, print the table, write JSON; the exit code is 0 whatever the figures are."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.parts import run_parts
from benchmarks.recordings import measure

PARTS = {
    "large": measure.measure_large,
    "many": measure.measure_many,
    "whole": measure.measure_whole,
    "beside": measure.measure_beside,
    "requests": measure.measure_requests,
}
"""What is measured, by name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for."""
    return run_parts("recordings", PARTS, arguments, scaled="rows and sessions")


if __name__ == "__main__":
    sys.exit(main())
