"""Pools whose processes start within milliseconds, forked from one that has imported what transforms need."""

from __future__ import annotations

import multiprocessing

import pytest

from zarrmill.execute import executors

PRELOADED = ["tests.recordings.sample_transform", "zarrmill.recordings.event_transform", "h5py"]


def fork_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have ``executor="processes"`` fork: each process is as small as a new one, and has run nothing.

    What is to be imported beforehand counts where this starts the server of forks, not where a cluster was first.
    """
    # One thread of OpenBLAS: a process with more than one should not fork.
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)

    def make_pool(workers: int) -> executors._ProcessPool:
        return executors._ProcessPool(workers, mp_context=context, initializer=executors._obey_parent)

    monkeypatch.setattr(executors, "_process_pool", make_pool)
