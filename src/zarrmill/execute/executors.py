"""Where blocks run: adapters from a name or any ``concurrent.futures.Executor`` to what the loop needs."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from zarrmill.errors import InvalidInputError
from zarrmill.execute.workshop import WORKSHOP

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")

NAMES = ("serial", "threads", "processes")
"""Executors that can be asked for by name."""


class ProcessLostError(Exception):
    """The process that ran a block has died with it, or nobody knows of it any more."""


class InlineExecutor(Executor):
    """Runs each call at once in the caller's thread, so that Ctrl-C reaches it."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run a call and return its outcome as a finished future."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 (a future carries whatever its call raised)
            future.set_exception(error)
        return future


class Placement:
    """An executor with what the loop and the planner ask of it."""

    def __init__(
        self,
        make: Callable[[], Executor],
        *,
        processes: int,
        threads: int,
        in_process: bool,
        owned: bool = True,
        fenced: bool = False,
    ) -> None:
        self._make = make
        self._executor: Executor | None = None
        self._owned = owned
        self.processes = processes
        """Processes that run blocks, one block at a time in each."""
        self.threads = threads
        """Threads in each of them."""
        self.in_process = in_process
        """Whether blocks run in this process and can tell of their progress."""
        self.fenced = fenced
        """Whether a block may still be at work when its run is over, so that files are made behind a fence."""

    changes = False
    """Whether there may be other processes when a run is resumed, for which its plan does as well."""

    @property
    def in_flight(self) -> int:
        """Blocks submitted at once: one per process, and as many again so that none waits for the caller."""
        return 1 if self.in_process else 2 * self.processes

    @property
    def executor(self) -> Executor:
        """The executor, started at the first use."""
        if self._executor is None:
            self._executor = self._make()
        return self._executor

    def renew(self) -> None:
        """Replace an executor whose processes have died."""
        self.close()

    @property
    def watch_seconds(self) -> float | None:
        """Seconds after which the loop stops waiting for a block and calls ``watch``; None for never."""
        return None

    def watch(self) -> None:
        """Look after the processes while their blocks take long; raises when none is left."""

    def check_memory(self, projected: int) -> None:
        """Raise InvalidInputError when a process would be stopped before it uses what a plan projects."""

    def memory(self) -> tuple[int, int]:
        """Return memory above start, now and at the most, of this process."""
        meter = WORKSHOP.measure()
        return meter.now(), meter.peak()

    def close(self) -> None:
        """End an executor that was started here."""
        if self._executor is not None and self._owned:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None


def place(executor: str | Executor | Client | None, *, workers: int | None = None) -> Placement:
    """Return where to run blocks: "serial", "threads" (the default), "processes", a dask cluster, or any executor.

    ``workers`` is the number of threads or processes, by default one per core that this process may use. An executor
    of other processes runs blocks with one thread each; threads of a given ThreadPoolExecutor take turns. A dask
    cluster is given by its Client or by the address of its scheduler, ``tcp://host:8786``.

    >>> place("serial").threads
    1
    """
    if workers is not None and workers < 1:
        raise InvalidInputError(f"{workers} workers are too few. Give 1 or more, or leave it out for one per core.")
    if is_cluster(executor):
        from zarrmill.execute.cluster import place_on_cluster

        return place_on_cluster(executor, workers=workers)
    count = workers or cores()
    if executor is None or executor == "threads":
        return Placement(InlineExecutor, processes=1, threads=count, in_process=True)
    if executor == "serial":
        return Placement(InlineExecutor, processes=1, threads=1, in_process=True)
    if executor == "processes":
        return Placement(lambda: _process_pool(count), processes=count, threads=1, in_process=False)
    if isinstance(executor, ThreadPoolExecutor):
        return Placement(lambda: executor, processes=1, threads=count, in_process=False, owned=False)
    if isinstance(executor, Executor):
        given = workers or getattr(executor, "_max_workers", None) or count
        return Placement(lambda: executor, processes=given, threads=1, in_process=False, owned=False, fenced=True)
    raise InvalidInputError(
        f"executor {executor!r} is not known. Use {', '.join(map(repr, NAMES))}, the address of a dask scheduler "
        f"(tcp://host:8786), a distributed.Client or a concurrent.futures.Executor."
    )


def is_cluster(executor: object) -> bool:
    """Tell whether something is a dask Client, or text that means to be the address of a dask scheduler."""
    return is_client(executor) or (isinstance(executor, str) and "://" in executor)


def is_client(executor: object) -> bool:
    """Tell whether something is a dask Client; nobody can have one without having imported ``distributed``."""
    distributed = sys.modules.get("distributed")
    return distributed is not None and isinstance(executor, distributed.Client)


def cores() -> int:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _process_pool(workers: int) -> ProcessPoolExecutor:
    """Return a pool whose processes start small: a forked one would begin with all of the caller's memory."""
    return _ProcessPool(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_obey_parent)


class _ProcessPool(ProcessPoolExecutor):
    """Processes that begin with Ctrl-C blocked: one that still imports would answer with a traceback of its own."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Start processes where some are missing, and give them a call."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _obey_parent() -> None:
    """Have this process end when the caller's is killed, and leave it to the caller to answer to Ctrl-C.

    A worker of a killed pool would finish its block, into what may be the draft of another request by then, and wait
    for more for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True, name="zarrmill-end-with-parent").start()


def _end_after(parent: Any) -> None:
    parent.join()
    os._exit(1)
