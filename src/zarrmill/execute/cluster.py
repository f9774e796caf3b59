"""Blocks on a dask cluster that is there already: the one place that knows ``distributed``.

Each worker process is given one block at a time, and a few more only while those are small: a block uses all threads
and the whole ``max_mem`` of its process, so that a second one beside it would wait while another worker has none.
Everything else (who runs what when a worker is lost, who takes over from a busy one) is dask's.
"""

from __future__ import annotations

import os
import pickle
import socket
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn
from urllib.parse import urlsplit

from zarrmill.errors import ClusterError, InvalidInputError
from zarrmill.execute.executors import Placement, ProcessLostError, is_client
from zarrmill.execute.workshop import WORKSHOP, resident_bytes
from zarrmill.plan.model import Block, BlockResult
from zarrmill.units import format_bytes
from zarrmill.version import __version__

Client = Any
"""``distributed.Client``, which has no annotations that hold."""

CONNECT_SECONDS = 20.0
"""Patience with a scheduler that does not answer."""
WORKERS_SECONDS = 30.0
"""Patience with a cluster that has no workers yet, and with one that has lost all of them."""
WATCH_SECONDS = 1.0
"""Time between two looks at the workers while no block ends."""
AHEAD_BYTES = 32 * 2**20
"""Weight up to which a worker gets another block in advance: tenths of a second, so that nobody waits long for it."""
AHEAD = 4
"""Blocks that a worker is given at the most."""
SENT_BYTES = 2**20
"""Largest message for a block: a thousand times what a path and a plan take, so that it must hold data."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a worker tells of itself."""

    process: tuple[str, int]
    """Host and process; workers of one process share its memory and its threads."""
    threads: int
    """Threads that dask runs tasks in."""
    version: str
    """Version of zarrmill."""
    room: int | None
    """Bytes that the process may take before dask pauses it; None without a limit."""


def greet(dask_worker: Any) -> Greeting:
    """Return what the worker in which this is called tells of itself."""
    manager = dask_worker.memory_manager
    room = None
    if manager.memory_limit:
        room = int(manager.memory_limit * (manager.memory_pause_fraction or 1.0)) - resident_bytes()
    return Greeting((socket.gethostname(), os.getpid()), dask_worker.state.nthreads, __version__, room)


def release(token: str) -> None:
    """Have the process in which this is called give back what an operation left in it."""
    WORKSHOP.release_if_idle(token)


def run_block(message: bytes) -> BlockResult:
    """Run a block of an operation; called in a worker."""
    operation, block = pickle.loads(message)
    result: BlockResult = operation(block, _ignore)
    return result


def _ignore(weight: int, /) -> None:
    """Take progress from within a block; the caller hears of whole ones."""


def place_on_cluster(executor: Any, *, workers: int | None) -> ClusterPlacement:
    """Return the placement on the cluster of a Client, or of the scheduler at an address.

    ``workers`` is the number of worker processes used at the most. Raises ClusterError where there is no cluster, no
    worker, or no zarrmill of this version on one.
    """
    owned = not is_client(executor)
    client = _connect(executor) if owned else executor
    try:
        if client.asynchronous:
            raise InvalidInputError("the Client is asynchronous. Give one that is not, or the scheduler's address.")
        return ClusterPlacement(client, _greetings(client), owned=owned, workers=workers)
    except BaseException:
        if owned:
            client.close()
        raise


def _check_address(address: str) -> None:
    """Raise InvalidInputError for an address without host or port, of which dask itself comes to no good end."""
    parts = urlsplit(address)
    try:
        whole = bool(parts.hostname and parts.port)
    except ValueError:
        whole = False
    if not whole and parts.scheme in ("tcp", "tls"):
        raise InvalidInputError(f"{address} names no dask scheduler. Write its host and port: tcp://host:8786.")


def _connect(address: str) -> Client:
    _check_address(address)
    try:
        from distributed import Client as Connection
    except ImportError as error:
        raise ClusterError(f"{address} needs dask: pip install 'zarrmill[dask]'.") from error
    try:
        return Connection(address, timeout=CONNECT_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, TypeError, ValueError, RuntimeError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise ClusterError(f"no dask scheduler answers at {address} ({text}). Check the address.") from error


def _greetings(client: Client) -> dict[str, Greeting]:
    """Return the workers, by address."""
    try:
        client.wait_for_workers(1, timeout=WORKERS_SECONDS)
    except TimeoutError as error:
        raise ClusterError(
            f"{_name(client)} has had no workers for {WORKERS_SECONDS:.0f} s. Start some (dask worker), then run again."
        ) from error
    answers = client.run(greet, on_error="return")
    for address, answer in answers.items():
        if not isinstance(answer, Greeting):
            _refuse(f"worker {address} cannot run zarrmill ({' '.join(str(answer).split())})")
        if answer.version != __version__:
            _refuse(f"worker {address} has zarrmill {answer.version}, this is {__version__}")
    return dict(answers)


def _refuse(what: str) -> NoReturn:
    raise ClusterError(f"{what}. Install zarrmill {__version__} on every worker.")


def _name(client: Client) -> str:
    return f"the cluster at {client.scheduler.address if client.scheduler else 'an unknown address'}"


def check_connected(client: Client) -> None:
    """Raise ClusterError when the scheduler is gone for good; a Client tries for a while to find it again."""
    if client.status in ("closing", "closed"):
        raise ClusterError(f"{_name(client)} is gone. What is done is kept: the same request continues.")


class ClusterPlacement(Placement):
    """The workers of a cluster: as many processes as there are at the start, with the threads of the least of them."""

    changes = True

    def __init__(
        self, client: Client, greetings: dict[str, Greeting], *, owned: bool, workers: int | None = None
    ) -> None:
        by_process = {greeting.process: address for address, greeting in sorted(greetings.items(), reverse=True)}
        chosen = sorted(by_process.values())[:workers]
        super().__init__(
            self._no_pool,
            processes=len(chosen),
            threads=min(greetings[address].threads for address in chosen),
            in_process=False,
            owned=owned,
            fenced=True,
        )
        self._client = client
        self._greetings = {address: greetings[address] for address in chosen}
        self._pool = ClusterExecutor(client, chosen)
        self._others = set(greetings) - set(chosen)
        self._limited = workers is not None
        self._alone_since: float | None = None

    def _no_pool(self) -> Executor:
        return self._pool

    @property
    def in_flight(self) -> int:
        """Blocks to have submitted now."""
        return max(1, self._pool.in_flight)

    @property
    def watch_seconds(self) -> float:
        """Seconds between two calls of ``watch``."""
        return WATCH_SECONDS

    def watch(self) -> None:
        """See who joined and who left. Raises ClusterError when no worker is left, or no scheduler."""
        check_connected(self._client)
        with suppress(OSError):
            self._update(list(self._client.nthreads()))
        if self._alone_since is not None and time.monotonic() - self._alone_since > WORKERS_SECONDS:
            raise ClusterError(
                f"{_name(self._client)} has had no workers for {WORKERS_SECONDS:.0f} s. What is done is kept: start "
                f"some, and the same request continues."
            )

    def _update(self, addresses: list[str]) -> None:
        if not addresses:
            self._alone_since = self._alone_since or time.monotonic()
            return
        self._alone_since = None
        alive = [address for address in addresses if address not in self._others]
        self._pool.addresses = alive[: self.processes] if self._limited else alive

    def check_memory(self, projected: int) -> None:
        """Raise InvalidInputError when dask would stop a worker before it uses what a plan projects."""
        for address, greeting in self._greetings.items():
            if greeting.room is not None and projected > greeting.room:
                raise InvalidInputError(
                    f"the plan needs {format_bytes(projected)} in each worker, and dask pauses {address} when it takes "
                    f"{format_bytes(max(0, greeting.room))} more than now. Lower max_mem, or raise its memory limit."
                )

    def close(self) -> None:
        """Have the workers give their memory back, and end a connection that was made here."""
        if self._client.status == "running":
            with suppress(OSError):
                self._client.run(release, self._pool.token, on_error="ignore")
        if self._owned:
            self._client.close()


class ClusterExecutor(Executor):
    """Submits blocks to the workers that have the least to do."""

    def __init__(self, client: Client, addresses: list[str]) -> None:
        self._client = client
        self.addresses = addresses
        """Workers that blocks are sent to; others take over when dask says so."""
        self.token = ""
        """That of the operation that was submitted last."""
        self._under_way: dict[Future[BlockResult], tuple[str, int]] = {}

    @property
    def in_flight(self) -> int:
        """Blocks under way, and one more for each worker that has room."""
        loads = [self._load(address) for address in self.addresses]
        return len(self._under_way) + sum(not n or (n < AHEAD and nbytes < AHEAD_BYTES) for nbytes, n in loads)

    def _load(self, address: str) -> tuple[int, int]:
        """Return weight and number of the blocks that a worker was given and that are not done."""
        self._under_way = {future: at for future, at in self._under_way.items() if not future.done()}
        weights = [weight for where, weight in self._under_way.values() if where == address]
        return sum(weights), len(weights)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit an operation and its block; progress within the block is not told of."""
        check_connected(self._client)
        block: Block = args[0]
        message = pickle.dumps((fn, block))
        if len(message) > SENT_BYTES:
            raise InvalidInputError(
                f"block {block.id} would be sent with {format_bytes(len(message))} of data, because its source lies in "
                f"the memory of this process. Use executor='threads', or a source that the workers can open."
            )
        self.token = getattr(fn, "token", "")
        address = min(self.addresses, key=self._load, default=None)
        where = {} if address is None else {"workers": [address], "allow_other_workers": True}
        future = ClusterFuture()
        future.remote = self._client.submit(run_block, message, pure=False, **where)
        future.remote.add_done_callback(partial(_settle, future))
        self._under_way[future] = (address or "", block.weight)
        return future


class ClusterFuture(Future[BlockResult]):
    """A block on the cluster."""

    remote: Any
    """dask's future."""

    def cancel(self) -> bool:
        """Cancel the block, at work or not: behind its fence it can do no harm."""
        if not self.cancelled() and super().cancel():
            with suppress(OSError):
                if self.remote.client.status == "running":
                    self.remote.cancel()
            self.set_running_or_notify_cancel()
        return self.cancelled()


def _settle(future: ClusterFuture, remote: Any) -> None:
    """Give the outcome of dask's future to ours; called in a thread of the Client."""
    from distributed import KilledWorker

    result: Any = None
    error: BaseException | None = None
    try:
        result = remote.result()
    except KilledWorker:
        error = ProcessLostError("every worker that was given the block died")
    except CancelledError:
        error = ProcessLostError("the cluster no longer knows of the block")
    except Exception as raised:  # noqa: BLE001 (a future carries whatever its call raised)
        error = raised
    # A block that was cancelled here has its outcome already.
    with suppress(InvalidStateError):
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
    # The cluster need not keep what the journal gets, however long somebody holds this future.
    remote.release()
