"""This project: one call."""

from __future__ import annotations

from typing import Any

import zarrmill
from benchmarks.protocol import Job

PACKAGES = ("zarrmill", "zarr", "numcodecs", "numpy")


def run(job: Job, **placed: Any) -> dict[str, Any]:
    """The call as a user would write it; the options say what is verified and whether the data is synced."""
    case = job.size.arrays[0]
    report = zarrmill.rechunk(
        job.source,
        job.target,
        chunks=dict(zip(case.dims, case.chunks, strict=True)),
        shards=dict(zip(case.dims, case.shards, strict=True)) if job.layout == "shards" else None,
        max_mem=job.options.get("max_mem", job.max_mem),
        scratch=job.scratch,
        verify=job.options["verify"],
        sync=job.options["sync"],
        **placed,
    )
    said = report.to_json()
    return {"report": said, "source_reads": _total(said, "source_chunks_read")}


def _total(said: Any, key: str) -> int | None:
    """The figure of the report, or the sum over its arrays; None where it has none."""
    if isinstance(said, dict):
        if key in said:
            return int(said[key])
        said = list(said.values())
    if not isinstance(said, list):
        return None
    found = [total for part in said if (total := _total(part, key)) is not None]
    return sum(found) if found else None
