"""Runs and the rows that summarise them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks.contenders import Role
from benchmarks.protocol import Measurement
from benchmarks.sizes import Layout


@dataclass(frozen=True)
class Run:
    """One run of one contender."""

    size: str
    """Name of the workload."""
    layout: Layout
    """Layout of the target."""
    contender: str
    """Who ran."""
    role: Role
    """What the contender counts as."""
    max_mem: int
    """Bytes of memory allowed."""
    load: float
    """Load average just before."""
    measurement: Measurement | None = None
    """What it cost; None when it failed."""
    equal: bool | None = None
    """Whether the result equals the source."""
    remarks: list[str] = field(default_factory=list)
    """What the comparison noticed about the layout."""
    error: str = ""
    """Why it failed."""


@dataclass(frozen=True)
class Row:
    """All runs of one contender in one size and layout."""

    size: str
    """Name of the workload."""
    layout: Layout
    """Layout of the target."""
    contender: str
    """Who ran."""
    role: Role
    """What the contender counts as."""
    max_mem: int
    """Bytes of memory allowed."""
    seconds: float | None
    """Median wall time; the minimum for the floor; None when no run ended well."""
    spread: tuple[float, float]
    """Shortest and longest wall time."""
    cpu_seconds: float
    """Median processor time."""
    stolen_seconds: float
    """Median processor time that the host gave to others."""
    peak: int
    """Highest peak memory of any run."""
    read_bytes: int
    """Median bytes read."""
    source_reads: int | None
    """Source chunks opened, where counted."""
    repeats: int
    """Runs that ended well."""
    equal: bool | None
    """Whether every result equalled the source."""
    load: float
    """Highest load average before a run."""
    decode_target: float | None
    """Shortest time for decoding the target (the floor only)."""
    remarks: tuple[str, ...]
    """Errors, and what the comparison noticed."""


def summarise(runs: Iterable[Run]) -> list[Row]:
    """One row per size, layout and contender, in the order of their first runs."""
    groups: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.size, run.layout, run.contender), []).append(run)
    return [_row(group) for group in groups.values()]


def _row(runs: list[Run]) -> Row:
    first = runs[0]
    done = [run.measurement for run in runs if run.measurement]
    times = sorted(measurement.seconds for measurement in done)
    typical = min if first.role == "floor" else statistics.median
    decodes = [m.extra["decode_target_seconds"] for m in done if "decode_target_seconds" in m.extra]
    verdicts = [run.equal for run in runs if run.equal is not None]
    return Row(
        size=first.size,
        layout=first.layout,
        contender=first.contender,
        role=first.role,
        max_mem=first.max_mem,
        seconds=typical(times) if times else None,
        spread=(times[0], times[-1]) if times else (0.0, 0.0),
        cpu_seconds=statistics.median(m.cpu_seconds for m in done) if done else 0.0,
        stolen_seconds=statistics.median(m.stolen_seconds for m in done) if done else 0.0,
        peak=max((m.peak for m in done), default=0),
        read_bytes=int(statistics.median(m.read_bytes for m in done)) if done else 0,
        source_reads=next((m.source_reads for m in done if m.source_reads is not None), None),
        repeats=len(done),
        equal=all(verdicts) if verdicts else None,
        load=max(run.load for run in runs),
        decode_target=min(decodes, default=None),
        remarks=tuple(dict.fromkeys(text for run in runs for text in (run.error, *run.remarks) if text)),
    )
