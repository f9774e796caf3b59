"""zarr-python, block by block: read, write, next; with the zarrs codec pipeline when the options name it."""

from __future__ import annotations

from typing import Any

import zarr

from benchmarks.blocks import block_shape, blocks
from benchmarks.contenders.zarr_stores import counted, open_pairs
from benchmarks.floor.work import CORES
from benchmarks.protocol import Job

PACKAGES = ("zarr", "zarrs", "numcodecs", "numpy")
SHARE = 0.8
"""Of the memory limit for the block; the rest is left to the codecs."""


def run(job: Job) -> dict[str, Any]:
    """Copy whole write chunks, as many at a time as the limit allows and re-reading asks for."""
    settings: dict[str, Any] = {"threading.max_workers": CORES}
    if "pipeline" in job.options:
        settings["codec_pipeline.path"] = job.options["pipeline"]
    with zarr.config.set(settings):
        for case, (source, target) in zip(job.size.arrays, open_pairs(job), strict=True):
            block = block_shape(
                case.shape,
                case.source_chunks,
                case.write_chunk(job.layout),
                itemsize=case.itemsize,
                budget=int(SHARE * job.max_mem),
            )
            for region in blocks(case.shape, block):
                target[region] = source[region]
    return counted(job)
