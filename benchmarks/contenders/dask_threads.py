"""dask with its threads: from_zarr, rechunk to what one stored key holds, store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import dask
import dask.array as da

from benchmarks.contenders.zarr_stores import counted, open_pairs
from benchmarks.floor.work import CORES
from benchmarks.protocol import Job

PACKAGES = ("dask", "distributed", "zarr", "numcodecs", "numpy")


@contextlib.contextmanager
def session(job: Job) -> Iterator[None]:
    """A local cluster with one single-threaded worker per core where the options ask for peer-to-peer rechunking."""
    if not job.options.get("p2p"):
        with dask.config.set(scheduler="threads", num_workers=CORES):
            yield
        return
    from distributed import Client, LocalCluster

    cluster = LocalCluster(  # type: ignore[no-untyped-call,unused-ignore]
        n_workers=CORES, threads_per_worker=1, dashboard_address=None, local_directory=job.scratch, memory_limit=0
    )
    client = Client(cluster)  # type: ignore[no-untyped-call,unused-ignore]
    with cluster, client, dask.config.set({"array.rechunk.method": "p2p"}):
        yield


def run(job: Job) -> dict[str, Any]:
    """Tasks are aligned to the stored keys: two tasks that write into one shard would damage it."""
    pairs = open_pairs(job)
    arrays = [
        da.from_zarr(source).rechunk(case.write_chunk(job.layout))  # type: ignore[no-untyped-call,unused-ignore]
        for case, (source, _) in zip(job.size.arrays, pairs, strict=True)
    ]
    da.store(arrays, [target for _, target in pairs], lock=False)
    return counted(job)
