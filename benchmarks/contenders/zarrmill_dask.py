"""This project on a dask cluster of this machine: as many worker processes as cores, one thread in each."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

from distributed import Client, LocalCluster, get_client

from benchmarks.contenders import zarrmill_rechunk
from benchmarks.floor.work import CORES
from benchmarks.protocol import Job

PACKAGES = (*zarrmill_rechunk.PACKAGES, "distributed")
PEAK_PER_PROCESS = True
"""The limit is one of each worker process."""


@contextlib.contextmanager
def session(job: Job) -> Iterator[None]:
    """A cluster that has just started; dask's own limits are off, as the figure shall be what is used."""
    cluster = LocalCluster(  # type: ignore[no-untyped-call,unused-ignore]
        n_workers=CORES,
        threads_per_worker=1,
        processes=True,
        dashboard_address="127.0.0.1:0",
        local_directory=job.scratch,
        memory_limit=0,
    )
    with cluster, Client(cluster):  # type: ignore[no-untyped-call,unused-ignore]
        yield


def warm_up(job: Job) -> None:
    """Once in every worker, because a tiny array is one block and would warm a single one; then through the cluster."""
    client = get_client()  # type: ignore[no-untyped-call,unused-ignore]
    alone = {
        address: dataclasses.replace(job, target=f"{job.target}-{number}")
        for number, address in enumerate(client.scheduler_info()["workers"])
    }
    client.gather([client.submit(_serially, job, workers=[address], pure=False) for address, job in alone.items()])
    run(job)


def run(job: Job) -> dict[str, Any]:
    """The call with the Client as its executor."""
    return zarrmill_rechunk.run(job, executor=get_client())  # type: ignore[no-untyped-call,unused-ignore]


def _serially(job: Job) -> None:
    zarrmill_rechunk.run(job, executor="serial")
