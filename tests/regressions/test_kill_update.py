"""An update that is killed at any moment: the target is readable all the time, and the same command completes it."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import zarrmill
from tests.servers.nursery import get_nursery
from zarrmill.store import open_new

SHAPE, LAYOUT = (160, 40), {"chunks": (1, 8), "shards": (40, 8), "max_mem": "64MiB", "verify": "full"}
NEW = (17, 18, 33)
"""Epochs that come in after the target was made."""
WORKER = """
import json, sys, time
import zarrmill
given = json.loads(sys.argv[1])
print("started", flush=True)
zarrmill.rechunk(*given["ends"], update=True, storage_options=given["options"], progress=lambda _: time.sleep(0.02),
                 chunks=(1, 8), shards=(40, 8), max_mem="64MiB")
print("done", flush=True)
"""
SECONDS = 1.0
"""About as long as a worker takes."""


@pytest.fixture(params=["disk", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, dict[str, Any] | None]:
    """Where source and target lie, and with which options."""
    if request.param == "disk":
        return str(tmp_path), None
    return request.getfixturevalue("s3_bucket"), request.getfixturevalue("storage_options")


def zarr_store(location: str, options: dict[str, Any] | None) -> Any:
    return location if options is None else open_new(location, storage_options=options).store


def kill_and_complete(place: tuple[str, dict[str, Any] | None], seed: int) -> None:
    """Kill an update, read, and have another complete it."""
    root, options = place
    source, target = f"{root}/s", f"{root}/t"
    cube = zarr.create_array(zarr_store(source, options), shape=SHAPE, chunks=(SHAPE[0], 1), dtype="f4", fill_value=0)
    values = np.random.default_rng(seed).normal(100, 5, SHAPE).astype("f4")
    for epoch in set(range(36)) - set(NEW):
        cube[:, epoch] = values[:, epoch]
    zarrmill.rechunk(source, target, storage_options=options, **LAYOUT)  # type: ignore[arg-type]
    old = cube[...]
    for epoch in NEW:
        cube[:, epoch] = values[:, epoch]
    process = get_nursery().start(["-c", WORKER, json.dumps({"ends": [source, target], "options": options})])
    assert process.stdout.readline() == "started\n"
    time.sleep(random.Random(seed).uniform(0, SECONDS))
    process.kill()
    process.communicate()

    found = zarr.open_array(zarr_store(target, options), mode="r")[...]
    for start in range(0, SHAPE[0], 40):
        # A shard is old or new; on the disk all of them are.
        part = found[start : start + 40, 16:24], found[start : start + 40, 32:]
        wanted = [(a[start : start + 40, 16:24], a[start : start + 40, 32:]) for a in (old, cube[...])]
        assert all(any(np.array_equal(x, w[i]) for w in wanted) for i, x in enumerate(part))
    if options is None:
        assert any(np.array_equal(found, whole) for whole in (old, cube[...]))
    report = zarrmill.rechunk(source, target, update=True, storage_options=options, **LAYOUT)  # type: ignore[arg-type]
    assert report.blocks == 0 or report.kept_blocks > 0
    np.testing.assert_array_equal(zarr.open_array(zarr_store(target, options), mode="r")[...], cube[...])
    again = zarrmill.rechunk(source, target, update=True, storage_options=options, **LAYOUT)  # type: ignore[arg-type]
    assert again.blocks == 0


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_update(place: tuple[str, dict[str, Any] | None], seed: int) -> None:
    """Every shard is old or new, on a disk all of them; the same command completes it."""
    kill_and_complete(place, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 150))
def test_a_killed_update_many_times(place: tuple[str, dict[str, Any] | None], seed: int) -> None:
    """Fifty kills, each at another moment."""
    kill_and_complete(place, seed)
