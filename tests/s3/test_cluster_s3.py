"""A dask cluster that reads from buckets and writes to them: every worker opens its own connection."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import zarrmill
from tests.s3.stores import FAST, check_array, check_no_leftovers, check_nothing_opens, keys_of, open_at
from tests.servers.client import Proxy
from tests.servers.cluster import local_cluster
from zarrmill.plan import arrays
from zarrmill.progress import BlockFinished, Message

pytestmark = pytest.mark.slow

VALUES = np.random.default_rng(17).integers(1, 4096, size=(256, 256)).astype("f8")
LAYOUT: dict[str, Any] = {"chunks": (8, 256), "shards": (16, 256), "sync": False}


@pytest.fixture
def options(proxy: Proxy) -> dict[str, Any]:
    return {**proxy.storage_options, **FAST}


@pytest.fixture(params=["disk", "bucket"])
def source(request: pytest.FixtureRequest, tmp_path: Path, s3_bucket: str, storage_options: dict[str, Any]) -> str:
    place = f"{s3_bucket}/source.zarr" if request.param == "bucket" else str(tmp_path / "source.zarr")
    store: Any = open_at(place, storage_options) if request.param == "bucket" else place
    zarr.create_array(store, shape=VALUES.shape, dtype="f8", chunks=(256, 8))[:] = VALUES
    return place


@pytest.fixture(params=[1, 2], ids=["one-pass", "two-passes"])
def passes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """A little data makes many blocks, in one pass or with an intermediate."""
    wanted: int = request.param
    chains, candidates = arrays.chains, arrays.one_pass_candidates

    def smallest(*args: Any, **given: Any) -> list[Any]:
        found = list(candidates(*args, **given)) if wanted == 1 else []
        least = min((np.prod(c.tile) for c in found), default=0)
        return [c for c in found if np.prod(c.tile) == least]

    def short(*args: Any, limit: int, **given: Any) -> Any:
        return (c for c in chains(*args, limit=8192, **given) if len(c.tiles) == wanted > 1)

    monkeypatch.setattr(arrays, "_small_plan", lambda job, limits: None)
    monkeypatch.setattr(arrays, "BLOCK_AIM", 1)
    monkeypatch.setattr(arrays, "one_pass_candidates", smallest)
    monkeypatch.setattr(arrays, "chains", short)
    return wanted


def at_block(number: int, call: Any) -> Any:
    """Return a progress client that calls something when so many blocks are finished."""
    seen: list[str] = []

    def progress(message: Message) -> None:
        if isinstance(message, BlockFinished):
            seen.append(message.block)
            if len(seen) == number:
                call()

    return progress


def test_workers_write_to_a_bucket(
    client: Any, source: str, s3_bucket: str, options: dict[str, Any], passes: int, proxy: Proxy
) -> None:
    """The values, no key but the target's, one PUT for each shard, and the intermediate where all workers reach it."""
    target = f"{s3_bucket}/target.zarr"
    seen: list[list[str]] = []
    look = at_block(3, lambda: seen.append(keys_of(target, proxy.server.storage_options)))
    report = zarrmill.rechunk(source, target, executor=client, storage_options=options, progress=look, **LAYOUT)

    assert (report.arrays[0].passes, report.processes) == (passes, 2)
    assert report.blocks >= 16
    assert any(key.startswith(".zarrmill/scratch/") for key in seen[0]) == (passes == 2)
    check_array(target, options, VALUES)
    check_no_leftovers(target, options)
    puts = [r.key for r in proxy.get_requests("target.zarr/c") if r.kind == "PUT"]
    assert len(puts) == len(set(puts)) == report.keys_written == 16
    assert report.requests is not None
    assert report.requests.target is not None
    assert report.requests.target.puts >= 16


@pytest.mark.parametrize("source", ["bucket"], indirect=True)
def test_workers_read_from_a_bucket(
    client: Any, source: str, tmp_path: Path, options: dict[str, Any], passes: int
) -> None:
    """To a disk that all of them see."""
    report = zarrmill.rechunk(source, tmp_path / "t", executor=client, storage_options=options, **LAYOUT)

    assert report.arrays[0].passes == passes
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "t", mode="r")[:], VALUES)
    assert os.listdir(tmp_path) == ["t"]


@pytest.mark.parametrize("source", ["disk"], indirect=True)
def test_a_killed_worker_costs_nothing(source: str, s3_bucket: str, options: dict[str, Any], passes: int) -> None:
    """Its blocks run again on another, and nothing of its own stays."""
    target = f"{s3_bucket}/target.zarr"
    with local_cluster() as own:
        victim = next(iter(own.run(os.getpid).values()))
        kill = at_block(3, lambda: os.kill(victim, signal.SIGKILL))
        report = zarrmill.rechunk(source, target, executor=own, storage_options=options, progress=kill, **LAYOUT)

    check_array(target, options, VALUES)
    check_no_leftovers(target, options)
    assert report.digest == zarrmill.digest(source)


@pytest.mark.parametrize("source", ["disk"], indirect=True)
def test_an_interrupted_run_goes_on(
    client: Any, source: str, s3_bucket: str, options: dict[str, Any], passes: int
) -> None:
    """Nothing opens meanwhile, and the same request continues."""
    target = f"{s3_bucket}/target.zarr"

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        zarrmill.rechunk(source, target, executor=client, storage_options=options, progress=at_block(5, stop), **LAYOUT)
    check_nothing_opens(target, options)
    report = zarrmill.rechunk(source, target, executor=client, storage_options=options, **LAYOUT)

    assert report.resumed_blocks >= 5
    check_array(target, options, VALUES)
    check_no_leftovers(target, options)


@pytest.mark.parametrize("source", ["bucket"], indirect=True)
def test_a_worker_that_is_refused_is_told(
    client: Any, source: str, tmp_path: Path, options: dict[str, Any], proxy: Proxy
) -> None:
    """What a worker hears from a store reaches the caller as one line with the key."""
    proxy.add("access_denied", kinds=("GET", "RANGE"), pattern=r"source\.zarr/c/", times=None)
    with pytest.raises(zarrmill.BlockFailedError, match=r"source\.zarr/c/.* failed: not allowed") as refused:
        zarrmill.rechunk(source, tmp_path / "t", executor=client, storage_options=options, **LAYOUT)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "t").exists()
