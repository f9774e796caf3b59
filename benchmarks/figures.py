"""One measured figure with its target."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """What was measured."""

    what: str
    value: float
    unit: str
    target: float | None = None
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None for figures that stand beside for comparison."""
        return None if self.target is None else self.value <= self.target

    def row(self) -> tuple[str, ...]:
        """The figure as cells."""
        target = "" if self.target is None else f"<= {self.target:g} {self.unit}"
        mark = {True: "yes", False: "NO", None: ""}[self.reached]
        return self.what, f"{self.value:.3g} {self.unit}", target, mark, self.note


def median_ms(call: Callable[[], object], *, times: int, before: int = 0) -> float:
    """Median milliseconds of a call, after some that do not count."""
    for _ in range(before):
        call()
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return 1000 * statistics.median(taken)


def as_table(figures: list[Figure]) -> str:
    """All figures as a markdown table."""
    rows = [("what", "measured", "target", "reached", ""), *(figure.row() for figure in figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])
