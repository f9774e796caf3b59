"""execute/executors.py: from a name or an executor to where blocks run."""

from __future__ import annotations

import os
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest

from zarrmill.errors import InvalidInputError
from zarrmill.execute.executors import InlineExecutor, is_cluster, place

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


class Foreign(Executor):
    """Somebody's own executor."""

    def __repr__(self):
        return "another"

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@pytest.mark.parametrize(
    ("executor", "workers", "expected"),
    [
        (None, None, (1, CORES, True)),
        ("threads", 3, (1, 3, True)),
        ("serial", None, (1, 1, True)),
        ("serial", 3, (1, 1, True)),
        ("processes", None, (CORES, 1, False)),
        ("processes", 3, (3, 1, False)),
        (Foreign(), None, (CORES, 1, False)),
        (Foreign(), 7, (7, 1, False)),
    ],
    ids=str,
)
def test_processes_and_threads_of_each_executor(executor, workers, expected):
    """One process with a pool, a pool of one, or many processes of one thread."""
    placement = place(executor, workers=workers)

    assert (placement.processes, placement.threads, placement.in_process) == expected
    placement.close()


def test_threads_of_a_given_pool_take_turns():
    """All threads of a pool share one process, and so one memory limit."""
    with ThreadPoolExecutor(5) as pool:
        placement = place(pool)
        assert (placement.processes, placement.in_process) == (1, False)
        assert placement.executor is pool


def test_a_given_executor_is_left_open():
    """What the caller made the caller ends."""
    with ThreadPoolExecutor(1) as pool:
        placement = place(pool)
        assert placement.executor.submit(int).result() == 0
        placement.renew()
        placement.close()

        assert pool.submit(int).result() == 0


def test_own_executor_starts_late_and_ends():
    """No process starts before the first block; after the run the executor is gone and could start again."""
    placement = place("threads")
    assert placement._executor is None
    first = placement.executor
    assert placement.executor is first
    placement.close()
    placement.close()

    assert placement.executor is not first


@pytest.mark.parametrize(
    ("executor", "in_flight"),
    [("threads", 1), ("serial", 1), (Foreign(), 2 * CORES)],
    ids=["threads", "serial", "another"],
)
def test_blocks_in_flight(executor, in_flight):
    """One at a time here; elsewhere two per process."""
    assert place(executor).in_flight == in_flight


@pytest.mark.parametrize("executor", ["dask", "Threads", 4, object()], ids=["dask", "Threads", "number", "object"])
def test_others_are_refused(executor):
    """The message has the names that can be used."""
    with pytest.raises(InvalidInputError, match="'serial', 'threads', 'processes', the address of a dask scheduler"):
        place(executor)


def test_what_means_a_cluster():
    """An address has a scheme; whatever is no Client of dask's is none, and nobody has to import dask to know."""
    assert is_cluster("tcp://host:8786")
    assert is_cluster("tls://host:8786")
    assert not any(is_cluster(other) for other in ("threads", None, Foreign(), "host:8786"))


@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
def test_own_executors_need_no_watch(executor):
    """Nothing of them is left when their run is over, and nobody joins or leaves meanwhile."""
    placement = place(executor, workers=1)
    placement.watch()
    placement.check_memory(2**60)

    assert (placement.fenced, placement.watch_seconds, placement.changes) == (False, None, False)


def test_blocks_of_a_given_executor_may_outlive_their_run():
    """Of somebody else's processes nobody knows when they end."""
    assert place(Foreign()).fenced


@pytest.mark.parametrize("workers", [0, -1], ids=str)
def test_too_few_workers_are_refused(workers):
    """No worker would do nothing for ever."""
    with pytest.raises(InvalidInputError, match="1 or more"):
        place("threads", workers=workers)


def test_inline_executor_keeps_errors_but_not_interrupts():
    """A failure is the future's; Ctrl-C goes through."""

    def stop():
        raise KeyboardInterrupt

    executor = InlineExecutor()
    assert executor.submit(divmod, 7, 2).result() == (3, 1)
    assert isinstance(executor.submit(int, "x").exception(), ValueError)
    with pytest.raises(KeyboardInterrupt):
        executor.submit(stop)


def test_memory_of_this_process_is_told():
    """Now and peak are not negative."""
    now, peak = place("serial").memory()

    assert now >= 0
    assert peak >= 0
