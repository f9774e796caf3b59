"""tensorstore, block by block, with limits in its context.

A plain `target.write(source)` holds everything: 4.7 GB for 80 MB.
"""

from __future__ import annotations

import os
from typing import Any

import tensorstore as ts

from benchmarks.blocks import block_shape, blocks
from benchmarks.floor.work import CORES
from benchmarks.metadata import write_targets
from benchmarks.protocol import Job

PACKAGES = ("tensorstore", "numpy")
SHARE = 0.8
"""Of the memory limit for the block; the rest is left to the codecs."""
READS = "/tensorstore/kvstore/file/read"


def run(job: Job) -> dict[str, Any]:
    """Copy whole write chunks, as many at a time as the limit allows and re-reading asks for."""
    write_targets(job.size, job.target, layout=job.layout)
    context = ts.Context(
        {
            "cache_pool": {"total_bytes_limit": 0},
            "data_copy_concurrency": {"limit": CORES},
            "file_io_concurrency": {"limit": 4 * CORES},
            # Everybody else leaves the sync out; by default tensorstore syncs every file.
            "file_io_sync": False,
        }
    )
    reads = 0
    for case in job.size.arrays:
        source, target = (_open(os.path.join(root, case.path), context) for root in (job.source, job.target))
        block = block_shape(
            case.shape,
            case.source_chunks,
            case.write_chunk(job.layout),
            itemsize=case.itemsize,
            budget=int(SHARE * job.max_mem),
        )
        reads -= _reads()
        for region in blocks(case.shape, block):
            target[region].write(source[region].read().result()).result()
        reads += _reads()
    return {"source_reads": reads}


def _open(path: str, context: Any) -> Any:
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": path}}
    return ts.open(spec, context=context).result()


def _reads() -> int:
    """Reads of its file driver so far; a shard that reaches over the edge of the array is one too."""
    metrics = ts.experimental_collect_matching_metrics(READS)
    return sum(
        int(value.get("value", 0)) for metric in metrics if metric["name"] == READS for value in metric["values"]
    )
