"""The floor as a contender (see `benchmarks.floor`)."""

from __future__ import annotations

import math
import os
from typing import Any

from benchmarks.floor.arena import Arena
from benchmarks.floor.decode import decode_slab
from benchmarks.floor.encode import encode_files, encode_shards
from benchmarks.floor.read_back import decode_target_seconds
from benchmarks.floor.work import Team
from benchmarks.metadata import write_targets
from benchmarks.protocol import Job
from benchmarks.sizes import ArrayCase

PACKAGES = ("numpy", "numcodecs", "google-crc32c")


def run(job: Job) -> None:
    """Decode, copy, encode and write every array; nothing is planned, limited, checked or synced."""
    write_targets(job.size, job.target, layout=job.layout)
    team = Team()
    for case in job.size.arrays:
        _move(job, case, team)
    team.close()


def after(job: Job) -> dict[str, Any]:
    """What decoding the target costs: the allowance for a full verification."""
    return {"decode_target_seconds": decode_target_seconds(job.size, job.target, job.layout)}


def _move(job: Job, case: ArrayCase, team: Team) -> None:
    source, target = os.path.join(job.source, case.path), os.path.join(job.target, case.path)
    encode = encode_shards if job.layout == "shards" else encode_files
    step = min(case.shape[0], math.lcm(case.source_chunks[0], case.write_chunk(job.layout)[0]))
    arena: Arena | None = None
    for start in range(0, case.shape[0], step):
        rows = range(start, min(start + step, case.shape[0]))
        if arena is None or len(rows) < step:
            arena = Arena((len(rows), *case.shape[1:]), case.chunks, case.dtype)
        arena.pad()
        decode_slab(case, source, rows, arena=arena, team=team)
        encode(case, target, start, arena=arena, team=team)
