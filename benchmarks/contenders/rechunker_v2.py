"""rechunker with its dask executor, from a Zarr v2 copy of the source to Zarr v2; in its own environment."""

from __future__ import annotations

import os
from typing import Any

import zarr
from numcodecs import Zstd
from rechunker import rechunk

from benchmarks.protocol import Job

PACKAGES = ("rechunker", "zarr", "dask", "numcodecs", "numpy")


class CountingStore(zarr.storage.DirectoryStore):  # type: ignore[misc,name-defined,unused-ignore]
    """A Zarr v2 directory store that counts the reads of anything but metadata."""

    reads = 0

    def __getitem__(self, key: str) -> Any:
        """Count, then read."""
        if not key.rpartition("/")[2].startswith(".z"):
            CountingStore.reads += 1
        return super().__getitem__(key)


def run(job: Job) -> dict[str, Any]:
    """The limit is passed on as it is; rechunker applies it per task."""
    CountingStore.reads = 0
    source = zarr.open(CountingStore(job.source) if job.count_reads else job.source, mode="r")
    options: dict[str, Any] = {"compressor": Zstd(level=0)}
    chunks: Any = {case.path: case.chunks for case in job.size.arrays}
    if job.size.is_group:
        options = {case.path: options for case in job.size.arrays}
    else:
        chunks = job.size.arrays[0].chunks
    intermediate = os.path.join(job.scratch, "intermediate.zarr")
    plan = rechunk(
        source, chunks, job.max_mem, job.target, target_options=options, temp_store=intermediate, executor="dask"
    )
    plan.execute(scheduler="threads", num_workers=len(os.sched_getaffinity(0)))
    return {"source_reads": CountingStore.reads} if job.count_reads else {}
