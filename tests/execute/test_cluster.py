"""execute/cluster.py: blocks on a dask cluster, all through the public function."""

from __future__ import annotations

import os
import pickle
import signal
import time
from concurrent.futures import Future
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
import zarr
from zarr.storage import MemoryStore

import zarrmill
from tests.properties.checks import check_same_stores
from tests.servers.cluster import local_cluster
from zarrmill.errors import BlockFailedError, ClusterError, InvalidInputError
from zarrmill.execute import cluster
from zarrmill.execute.cluster import AHEAD, AHEAD_BYTES, ClusterExecutor, ClusterFuture, ClusterPlacement, Greeting
from zarrmill.execute.executors import ProcessLostError, place
from zarrmill.execute.run import may_pass
from zarrmill.plan import arrays, memory
from zarrmill.plan.model import Block
from zarrmill.progress import BlockFinished, BlockRetried

pytestmark = pytest.mark.slow

VALUES = np.random.default_rng(5).integers(0, 4096, size=(512, 512)).astype("f8")
LAYOUT = {"chunks": (8, 512), "shards": (64, 512), "sync": False}


@pytest.fixture
def source(tmp_path):
    array = zarr.create_array(tmp_path / "source.zarr", shape=VALUES.shape, chunks=(512, 8), dtype="f8")
    array[:] = VALUES
    return tmp_path / "source.zarr"


@pytest.fixture
def target(tmp_path):
    return tmp_path / "target.zarr"


@pytest.fixture
def many_blocks(monkeypatch):
    """Plan as if memory were scarce, so that a little data makes many blocks; return a function that wants passes."""
    for module, name, value in ((memory, "SLACK", 0), (arrays, "SMALL", 0), (arrays, "BLOCK_AIM", 1)):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(memory, "RUN_BYTES", 2**14)
    chains = arrays.chains

    def want(passes):
        if passes > 1:
            monkeypatch.setattr(arrays, "one_pass_candidates", lambda *args, **options: [])
        monkeypatch.setattr(arrays, "chains", lambda *a, **o: (c for c in chains(*a, **o) if len(c.tiles) == passes))
        shards, kib = ((16, 512), 300) if passes == 1 else ((64, 512), 1000)
        return {**LAYOUT, "shards": shards, "max_mem": kib * 1024}

    return want


def at_message(kind, number, call):
    """Return a progress client that calls something at the n-th message of a kind."""
    seen = []

    def progress(message):
        if isinstance(message, kind):
            seen.append(message)
            if len(seen) == number:
                call()

    return progress


def interrupt():
    raise KeyboardInterrupt


@pytest.mark.parametrize("how", ["client", "address", "command line"])
def test_cluster_is_given_in_every_way(client, source, target, tmp_path, how):
    """A Client, an address, and the command line lead to the bytes that local threads write."""
    local = zarrmill.rechunk(source, tmp_path / "local.zarr", **LAYOUT)
    address = client.scheduler.address
    if how == "command line":
        from typer.testing import CliRunner

        from zarrmill.cli import app

        options = ["--chunks", "8,512", "--shards", "64,512", "--no-sync", "--executor", address]
        done = CliRunner().invoke(app, ["rechunk", str(source), str(target), *options])
        assert done.exit_code == 0, done.stderr
    else:
        report = zarrmill.rechunk(source, target, executor=client if how == "client" else address, **LAYOUT)
        assert (report.digest, report.processes) == (local.digest, 2)

    check_same_stores(target, tmp_path / "local.zarr")
    assert sorted(os.listdir(tmp_path)) == ["local.zarr", "source.zarr", "target.zarr"]


@pytest.mark.parametrize("passes", [1, 2])
def test_blocks_are_spread_over_the_workers(client, source, target, tmp_path, many_blocks, passes):
    """Every worker gets blocks, the intermediate lies beside the target, and all is as on this machine alone."""
    options = many_blocks(passes)
    local = zarrmill.rechunk(source, tmp_path / "local.zarr", executor="serial", **options)
    client.run(forget_blocks)
    report = zarrmill.rechunk(source, target, executor=client, **options)
    shares = list(client.run(count_blocks).values())

    check_same_stores(target, tmp_path / "local.zarr")
    assert report.digest == local.digest
    assert report.arrays[0].passes == passes
    assert report.blocks >= 12
    assert sum(shares) == report.blocks
    assert min(shares) >= report.blocks // 4


def forget_blocks(dask_worker):
    """Take note of the tasks that this worker has done so far."""
    dask_worker.zarrmill_seen = len(dask_worker.state.log)


def count_blocks(dask_worker):
    """Return the blocks that this worker has done since."""
    log = list(dask_worker.state.log)[dask_worker.zarrmill_seen :]
    return sum(entry[0].startswith("run_block") and entry[2] == "memory" for entry in log if len(entry) > 2)


def test_limit_holds_in_every_worker(client, tmp_path, monkeypatch):
    """Two passes over 32 MB in 36 MiB: the peak that the workers report and their own is within the limit."""
    values = np.random.default_rng(1).integers(0, 4096, size=(2000, 2000)).astype("f8")
    zarr.create_array(tmp_path / "s", shape=values.shape, chunks=(2000, 10), dtype="f8")[:] = values
    monitor = zarrmill.rechunk(tmp_path / "s", tmp_path / "warm", chunks=(10, 2000), executor=client, sync=False)
    monkeypatch.setattr(arrays, "one_pass_candidates", lambda *args, **options: [])
    client.run(reset_peak)
    report = zarrmill.rechunk(
        tmp_path / "s", tmp_path / "t", chunks=(10, 2000), shards=(200, 2000), max_mem="36MiB", executor=client
    )
    peaks = client.run(peak_since)

    assert report.arrays[0].passes > 1
    assert 0 < report.peak_mem <= 36 * 2**20
    assert max(peaks.values()) <= 36 * 2**20
    assert report.digest == monitor.digest


def reset_peak(dask_worker):
    """Start measuring a worker by means of our own."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    dask_worker.zarrmill_start = status("VmRSS:")


def peak_since(dask_worker):
    """Return what a worker took at the most since then."""
    return status("VmHWM:") - dask_worker.zarrmill_start


def status(field):
    with open("/proc/self/status") as file:
        return int(file.read().split(field, 1)[1].split(None, 1)[0]) * 1024


def test_workers_give_their_memory_back(client, source, target):
    """After a run no tile memory and no opened array stays in the workers."""
    zarrmill.rechunk(source, target, executor=client, **LAYOUT)

    assert set(client.run(count_kept).values()) == {(0, 0)}


def count_kept():
    from zarrmill.execute.workshop import WORKSHOP

    return len(WORKSHOP.kept), len(WORKSHOP._arenas)


@pytest.mark.parametrize("passes", [pytest.param(1, marks=pytest.mark.soak), 2])
def test_a_killed_worker_costs_nothing(source, target, tmp_path, many_blocks, passes):
    """A worker that is killed while its blocks run is survived, and the result is the same."""
    options = many_blocks(passes)
    local = zarrmill.rechunk(source, tmp_path / "local.zarr", executor="serial", **options)
    with local_cluster() as client:
        victim = next(iter(client.run(os.getpid).values()))
        kill = at_message(BlockFinished, 2, lambda: os.kill(victim, signal.SIGKILL))
        report = zarrmill.rechunk(source, target, executor=client, progress=kill, **options)

    check_same_stores(target, tmp_path / "local.zarr")
    assert report.digest == local.digest
    assert sorted(os.listdir(tmp_path)) == ["local.zarr", "source.zarr", "target.zarr"]


def test_a_cluster_without_workers_ends_the_run_which_others_continue(source, target, monkeypatch, many_blocks):
    """When no worker is left the error says so; with other workers the same request goes on where it was."""
    options = many_blocks(2)
    monkeypatch.setattr(cluster, "WORKERS_SECONDS", 1.0)
    with local_cluster() as client:
        leave = at_message(BlockFinished, 5, lambda: client.cluster.scale(0))
        with pytest.raises(ClusterError, match="no workers for 1 s"):
            zarrmill.rechunk(source, target, executor=client, progress=leave, **options)
        assert not target.exists()
        client.cluster.scale(1)
        client.wait_for_workers(1, timeout=60)
        report = zarrmill.rechunk(source, target, executor=client, **options)

    assert report.resumed_blocks >= 5
    np.testing.assert_array_equal(zarr.open_array(target, mode="r")[:], VALUES)


def test_interrupt_cancels_the_blocks_and_the_run_goes_on_later(client, source, target, many_blocks):
    """Ctrl-C ends the run at once, nothing is left on the cluster, and the same request continues."""
    options = many_blocks(1)
    with pytest.raises(KeyboardInterrupt):
        zarrmill.rechunk(source, target, executor=client, progress=at_message(BlockFinished, 3, interrupt), **options)
    until = time.monotonic() + 10
    while client.cluster.scheduler.tasks and time.monotonic() < until:
        time.sleep(0.02)
    assert not client.cluster.scheduler.tasks
    assert not target.exists()
    report = zarrmill.rechunk(source, target, executor=client, **options)

    assert report.resumed_blocks >= 3
    np.testing.assert_array_equal(zarr.open_array(target, mode="r")[:], VALUES)


def test_routes_through_zarr_python(client, tmp_path):
    """Strings, which zarr-python writes, come out of a cluster as they come out of this process."""
    texts = np.array([f"object {i}" for i in range(600)], dtype=object).reshape(60, 10)
    zarr.create_array(tmp_path / "s", shape=texts.shape, chunks=(60, 1), dtype=str)[:] = texts
    for name, executor in {"a": "serial", "b": client}.items():
        zarrmill.rechunk(tmp_path / "s", tmp_path / name, chunks=(6, 10), executor=executor, sync=False)

    check_same_stores(tmp_path / "a", tmp_path / "b")
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "s"]


def test_many_arrays_are_sent_one_by_one(client, tmp_path, monkeypatch):
    """A block carries its own array only, however many there are."""
    group = zarr.create_group(tmp_path / "s")
    for i in range(30):
        group.create_array(f"a{i}", shape=(20, 20), chunks=(20, 1), dtype="i4", attributes={"n": "x" * 1000})[:] = i
    sizes = []
    dumps = pickle.dumps
    monkeypatch.setattr(cluster, "pickle", SimpleNamespace(dumps=lambda o: sizes.append(len(dumps(o))) or dumps(o)))
    report = zarrmill.rechunk(tmp_path / "s", tmp_path / "t", chunks=(1, 20), executor=client, sync=False)

    assert len(sizes) == report.blocks == 30
    assert max(sizes) < 8000
    assert report.digest == zarrmill.digest(tmp_path / "s")


def test_a_source_in_memory_is_refused(client, target):
    """Data that lies in the caller's memory is not sent with every block."""
    store = MemoryStore()
    zarr.create_array(store, data=np.random.default_rng(1).normal(size=(500, 500)), chunks=(500, 5))

    with pytest.raises(InvalidInputError, match="lies in the memory of this process"):
        zarrmill.rechunk(store, target, executor=client, **LAYOUT)
    assert not target.exists()


def test_a_worker_that_sees_another_source_is_told(client, source, target, monkeypatch):
    """Without the source's metadata where they were seen, a worker would read fill values: the run ends instead."""
    monkeypatch.setattr(import_module("zarrmill.work"), "mark_of", lambda folder: "another")

    with pytest.raises(BlockFailedError, match="does not see the source"):
        zarrmill.rechunk(source, target, executor=client, **LAYOUT)
    assert not target.exists()


def test_threads_of_one_process_share_it(source, target, tmp_path):
    """Workers that are threads of one process count as one, with one limit."""
    with local_cluster(processes=False, n_workers=2) as client:
        report = zarrmill.rechunk(source, target, executor=client, **LAYOUT)

    assert report.processes == 1
    np.testing.assert_array_equal(zarr.open_array(target, mode="r")[:], VALUES)


def test_threads_are_those_of_the_least_worker(client):
    """A plan must hold in every worker; ``workers`` limits how many are used."""
    greetings = {
        "tcp://a:1": Greeting(("a", 1), 4, "0", None),
        "tcp://a:2": Greeting(("a", 2), 2, "0", None),
        "tcp://b:1": Greeting(("b", 1), 8, "0", None),
    }
    both = ClusterPlacement(client, greetings, owned=False)
    one = ClusterPlacement(client, greetings, owned=False, workers=1)

    assert (both.processes, both.threads, both.in_process, both.fenced) == (3, 2, False, True)
    assert (one.processes, one.threads) == (1, 4)
    assert place(client, workers=5).processes == 2


def test_plan_that_dask_would_stop_is_refused(client):
    """A worker's own memory limit is smaller than what the plan needs."""
    placement = ClusterPlacement(client, {"tcp://a:1": Greeting(("a", 1), 1, "0", 2**30)}, owned=False)
    placement.check_memory(2**30)

    with pytest.raises(InvalidInputError, match=r"needs 2\.0 GiB in each worker, and dask pauses tcp://a:1"):
        placement.check_memory(2 * 2**30)


def test_room_of_a_worker_is_what_its_limit_leaves(source, target):
    """The limit that a real worker was started with counts, less what it holds."""
    with (
        local_cluster(n_workers=1, memory_limit="512MiB") as client,
        pytest.raises(InvalidInputError, match="dask pauses tcp://"),
    ):
        place(client).check_memory(400 * 2**20)


def test_workers_without_zarrmill_are_named(source, target):
    """One line that says what to install, instead of a cluster that fails block after block."""
    block = "import sys\nsys.modules['zarrmill'] = None"
    with local_cluster(n_workers=1, preload=[block]) as client, pytest.raises(ClusterError) as refused:
        zarrmill.rechunk(source, target, executor=client, **LAYOUT)

    assert str(refused.value).startswith("worker tcp://127.0.0.1:")
    assert "cannot run zarrmill" in str(refused.value)
    assert "Install zarrmill" in str(refused.value)


def test_workers_of_another_version_are_named(client, source, target, monkeypatch):
    """Blocks of another version may mean something else."""
    monkeypatch.setattr(cluster, "__version__", "9.9")

    with pytest.raises(ClusterError, match=r"this is 9\.9\. Install zarrmill 9.9 on every worker"):
        zarrmill.rechunk(source, target, executor=client, **LAYOUT)


def test_cluster_that_has_no_workers_is_refused(source, target, monkeypatch):
    """A scheduler alone runs nothing."""
    monkeypatch.setattr(cluster, "WORKERS_SECONDS", 0.2)
    with local_cluster(n_workers=0) as client, pytest.raises(ClusterError, match="has had no workers for 0 s"):
        zarrmill.rechunk(source, target, executor=client.scheduler.address, **LAYOUT)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "sideways://a:1", "tls://127.0.0.1:9"])
def test_address_where_nobody_answers(source, target, monkeypatch, address):
    """Whatever is wrong with an address, the error is one line."""
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.3)

    with pytest.raises(ClusterError, match=f"no dask scheduler answers at {address}") as refused:
        zarrmill.plan_rechunk(source, target, executor=address, chunks=(8, 512))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("address", ["tcp://", "tcp://host", "tls://host:port", "tcp://:8786"])
def test_address_that_names_no_scheduler(address):
    """Without host or port nobody is asked."""
    with pytest.raises(InvalidInputError, match=f"{address} names no dask scheduler. Write its host and port"):
        place(address)


def test_scheduler_that_goes_away_ends_the_run(source, target, many_blocks):
    """A closed Client cannot be waited for."""
    options = many_blocks(1)
    with local_cluster() as client:
        leave = at_message(BlockFinished, 2, client.close)
        with pytest.raises(ClusterError, match="is gone"):
            zarrmill.rechunk(source, target, executor=client, progress=leave, **options)


class FakeRemote:
    """dask's future, as far as ours asks."""

    def __init__(self, outcome=None, status="running"):
        self.outcome = outcome
        self.client = SimpleNamespace(status=status)
        self.cancelled = False

    def result(self):
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    def cancel(self):
        self.cancelled = True

    def release(self):
        self.outcome = None

    def add_done_callback(self, call):
        self.call = call


def settled(outcome):
    future = ClusterFuture()
    cluster._settle(future, FakeRemote(outcome))
    return future


def test_lost_workers_and_lost_results_are_tried_again():
    """What dask gives up, or no longer knows of, may pass; an error of the block itself is the block's."""
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError

    killed = KilledWorker("run_block-1", SimpleNamespace(address="tcp://a:1"), 3)
    for error in (killed, FutureCancelledError("run_block-1", "lost")):
        outcome = settled(error).exception()
        assert isinstance(outcome, ProcessLostError)
        assert may_pass(outcome)
    assert isinstance(settled(OSError(5, "broken")).exception(), OSError)
    assert settled("done").result() == "done"


@pytest.mark.parametrize("status", ["running", "closed"])
def test_cancelled_blocks_are_done_at_once(status):
    """Nobody waits for a block that was cancelled; a late outcome is ignored."""
    future = ClusterFuture()
    future.remote = FakeRemote("late", status)

    assert future.cancel()
    assert future.cancel()
    assert future.done()
    assert future.remote.cancelled == (status == "running")
    cluster._settle(future, future.remote)
    assert future.cancelled()


class FakeClient:
    """Takes blocks and never does them."""

    status = "running"

    def __init__(self):
        self.asked = []

    def submit(self, call, message, **options):
        self.asked.append(options)
        return FakeRemote()


def submit(pool, weight, number=1):
    return [pool.submit(len, Block(f"b{i}", None, weight), None) for i in range(number)]


def test_large_blocks_go_to_workers_one_by_one():
    """A worker has one block that takes long, so that the next goes to whoever is free first."""
    client = FakeClient()
    pool = ClusterExecutor(client, ["a", "b"])
    assert pool.in_flight == 2
    first, _ = submit(pool, AHEAD_BYTES, 2)
    assert pool.in_flight == 2
    assert [options["workers"] for options in client.asked] == [["a"], ["b"]]
    assert all(options["allow_other_workers"] and options["pure"] is False for options in client.asked)
    Future.set_result(first, None)
    submit(pool, AHEAD_BYTES)

    assert client.asked[-1]["workers"] == ["a"]


def test_small_blocks_are_sent_ahead():
    """A message takes longer than a small block, so a worker has some of them."""
    client = FakeClient()
    pool = ClusterExecutor(client, ["a", "b"])
    while (free := pool.in_flight - len(client.asked)) > 0:
        submit(pool, 1, free)

    assert len(client.asked) == 2 * AHEAD
    assert [options["workers"][0] for options in client.asked] == ["a", "b"] * AHEAD


def test_blocks_wait_for_workers_that_come_back():
    """With no worker at the moment a block is left to dask."""
    client = FakeClient()
    pool = ClusterExecutor(client, [])
    submit(pool, 1)

    assert client.asked == [{"pure": False}]


def test_retries_are_told(client, source, target, monkeypatch, many_blocks):
    """A passing fault on a worker is tried again, and the caller hears of it."""
    options = many_blocks(1)
    told = []
    (target.parent / "fault").write_text("")
    folder = str(target.parent)
    monkeypatch.setattr("zarrmill.execute.run.part_for", lambda operation, block: FailsOnce(operation, folder))
    zarrmill.rechunk(source, target, executor=client, progress=told.append, **options)

    retried = [message for message in told if isinstance(message, BlockRetried)]
    assert len(retried) == 1
    assert "Input/output error" in retried[0].error


class FailsOnce:
    """An operation that fails where it finds a file, which it removes."""

    def __init__(self, operation, folder):
        self.operation, self.folder, self.token = operation, folder, operation.token

    def __call__(self, block, advance):
        try:
            os.unlink(os.path.join(self.folder, "fault"))
        except FileNotFoundError:
            return self.operation(block, advance)
        raise OSError(5, "Input/output error")
