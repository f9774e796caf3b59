"""Sources and targets as zarr-python arrays, for the contenders that work on those."""

from __future__ import annotations

import os
from typing import Any

import zarr

from benchmarks.counting import CountingStore
from benchmarks.metadata import write_targets
from benchmarks.protocol import Job


def open_pairs(job: Job) -> list[tuple[Any, Any]]:
    """Source and empty target of every array."""
    write_targets(job.size, job.target, layout=job.layout, separator=job.options.get("separator", "."))
    CountingStore.reads = 0
    return [
        (_open_source(job, case.path), zarr.open_array(os.path.join(job.target, case.path), mode="r+"))
        for case in job.size.arrays
    ]


def counted(job: Job) -> dict[str, Any]:
    """What a contender on zarr-python answers: the reads, when they were counted."""
    return {"source_reads": CountingStore.reads} if job.count_reads else {}


def _open_source(job: Job, path: str) -> Any:
    location = os.path.join(job.source, path)
    if job.count_reads:
        return zarr.open_array(CountingStore(location, read_only=True), mode="r")
    return zarr.open_array(location, mode="r")
