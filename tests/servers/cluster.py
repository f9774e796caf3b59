"""A dask cluster of processes on this machine."""

from __future__ import annotations

from contextlib import contextmanager


@contextmanager
def local_cluster(**options):
    """Return a Client of a cluster of processes on this machine, which listens here alone and says nothing."""
    import dask
    from distributed import Client, LocalCluster

    defaults = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "memory_limit": 0}
    # Of the port of the web page only 0 never clashes, and with no address at all it would be 8787 on all interfaces.
    quiet = {"dashboard_address": "127.0.0.1:0", "silence_logs": 50}
    # Workers that are forked from one process which has dask imported start in a third of the time.
    forked = dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"})
    with forked, LocalCluster(**(defaults | quiet | options)) as cluster, Client(cluster) as client:
        yield client
