"""Every executor leaves the same bytes."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest

import zarrmill
from tests.properties.cases import Source
from tests.properties.checks import check_same_stores, check_same_values
from zarrmill.execute.workshop import WORKSHOP

SOURCES = {
    "driver": Source((600, 70, 3), (600, 1, 3), None, "f4", "zstd", "odd"),
    "bytes": Source((600, 70, 3), (5, 70, 3), (60, 70, 3), "f4", "blosc shuffle", "zero"),
    "zarr": Source((500, 30), (500, 3), None, "string", "zstd", "zero"),
}
REQUESTS = {
    "driver": {"chunks": (1, -1, -1), "shards": (50, 70, 3)},
    "bytes": {"chunks": None, "shards": (200, 70, 3)},
    "zarr": {"chunks": (20, -1), "shards": (100, 30)},
}


@pytest.fixture(scope="module")
def processes():
    """A user's own pool of two processes."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def threads():
    """A user's own pool of three threads."""
    with ThreadPoolExecutor(3) as pool:
        yield pool


@pytest.mark.slow
@pytest.mark.parametrize("route", SOURCES)
def test_all_executors_leave_the_same_bytes(tmp_path, route, processes, threads):
    """Serial, threads, processes, and pools of the user: the same keys with the same bytes, and the same figures."""
    expected = SOURCES[route].make(tmp_path / "s")
    reports = {}
    for name, executor in {
        "serial": "serial",
        "threads": "threads",
        "processes": "processes",
        "user threads": threads,
        "user processes": processes,
    }.items():
        reports[name] = zarrmill.rechunk(
            tmp_path / "s", tmp_path / name, executor=executor, workers=2, sync=False, **REQUESTS[route]
        )
        check_same_values(tmp_path / name, expected)

    check_same_stores(*(tmp_path / name for name in reports))
    assert len({(r.digest, r.keys_written, r.keys_empty, r.target_bytes) for r in reports.values()}) == 1
    assert {r.arrays[0].route for r in reports.values()} == {route}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_pool_after_a_run_in_this_process(tmp_path):
    """A pool that forks after this process has run blocks gets threads of its own, and does not hang."""
    source = Source((200, 50), (200, 1), None, "f8", "zstd", "zero")
    expected = source.make(tmp_path / "s")
    zarrmill.rechunk(tmp_path / "s", tmp_path / "t", chunks=(1, -1), executor="serial", sync=False)
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        zarrmill.rechunk(tmp_path / "s", tmp_path / "u", chunks=(1, -1), executor=pool, sync=False)

    check_same_values(tmp_path / "u", expected)
    check_same_stores(tmp_path / "t", tmp_path / "u")
    WORKSHOP.clear()
