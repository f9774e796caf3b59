"""What is measured: opening, reading, adding epochs, folding them, and requests of an object store."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import zarr

from benchmarks.figures import Figure, median_ms
from zarrmill.lightcurves import CreateOptions, LightcurveStorage

SEED = 20_240_101
READS = 2000
"""Reads of which one is the median."""
HISTORIES = (50, 250, 650)
"""Epochs after which one more is folded."""


def make_epoch(random, n_objects, n_measurements):
    """Photometry with noise of about three per cent, a tenth of it missing."""
    flux = random.normal(1000, 30, size=(n_objects, n_measurements)).astype("f4")
    flux[random.random(n_objects) < 0.1] = np.nan
    error = random.uniform(10, 20, size=(n_objects, n_measurements)).astype("f4")
    return {"flux": flux, "flux_err": np.where(np.isnan(flux), np.float32(np.nan), error)}


def measure_open(folder: Path, n_objects: int) -> Iterator[Figure]:
    """Opening a store of many objects by text key, and the first light curve from it."""
    random = np.random.default_rng(SEED)
    catalogue = {
        "key": np.char.add("survey-", np.arange(n_objects).astype("U8")),
        "ra": random.uniform(0, 360, n_objects),
        "dec": random.uniform(-90, 90, n_objects),
        "period": random.exponential(1, n_objects),
    }
    path = folder / "many-objects"
    storage = LightcurveStorage.create(path, catalogue=catalogue, max_epochs=500, measurements=2)
    for index in range(3):
        storage.populate_epoch(index, make_epoch(random, n_objects, 2), sync=False)
    storage.relayout()
    opened = median_ms(lambda: LightcurveStorage.open(path).refresh(), times=20, before=2)
    yield Figure(f"open, {n_objects:,} objects", opened, "ms", 50, "with the list of epochs")
    first = median_ms(lambda: LightcurveStorage.open(path).get_lightcurve("survey-1234"), times=10, before=1)
    yield Figure("open and read the first light curve", first, "ms", None, "key index and positions read")


def measure_adding(folder: Path, n_objects: int, n_epochs: int, n_measurements: int) -> Iterator[Figure]:
    """Adding epochs: the same after many as after few."""
    random = np.random.default_rng(SEED)
    path = folder / "adding"
    storage = LightcurveStorage.create(path, n_objects=n_objects, max_epochs=n_epochs, measurements=n_measurements)
    epochs = [make_epoch(random, n_objects, n_measurements) for _ in range(8)]
    seconds = []
    for index in range(n_epochs):
        begun = time.perf_counter()
        storage.populate_epoch(index, epochs[index % 8], time=60_000.0 + index, sync=False)
        seconds.append(time.perf_counter() - begun)
    few, many = (1000 * float(np.median(part)) for part in (seconds[5:25], seconds[-20:]))
    yield Figure(f"add an epoch of {n_objects:,} objects, without sync", few, "ms", 20, "after 5 epochs")
    yield Figure(
        f"add an epoch of {n_objects:,} objects, without sync", many, "ms", 20, f"after {n_epochs - 20} epochs"
    )
    synced = [
        median_ms(lambda i=i: storage.populate_epoch(i, epochs[7], time=1.0 + i, replace=True), times=1)
        for i in range(5)
    ]
    yield Figure("the same with sync", float(np.median(synced)), "ms", None, "two waits for the disk")


def measure_reading(folder: Path, n_objects: int, n_epochs: int) -> Iterator[Figure]:
    """Folding everything, reading it, and the same reads by zarr-python and xarray."""
    random = np.random.default_rng(SEED)
    path = folder / "reading"
    storage = LightcurveStorage.create(path, n_objects=n_objects, max_epochs=n_epochs, measurements=2)
    for index in range(n_epochs):
        storage.populate_epoch(index, make_epoch(random, n_objects, 2), time=60_000.0 + index, sync=False)
    report = storage.relayout()
    note = f"{report.bytes_written / 2**20:.0f} MiB written, every shard read back"
    yield Figure(f"fold {n_objects:,} x {n_epochs} x 2, three arrays", report.seconds, "s", None, note)
    storage, ids = LightcurveStorage.open(path), itertools.cycle(random.integers(0, n_objects, READS).tolist())
    one = median_ms(lambda: storage.get_lightcurve(next(ids), arrays=["flux"]), times=READS, before=READS)
    yield Figure("one light curve, one array and the status", one, "ms", 0.15, "warm")
    yield Figure("one light curve, all arrays", median_ms(lambda: storage.get_lightcurve(next(ids)), times=READS), "ms")
    some = median_ms(lambda: storage.get_lightcurves(random.integers(0, n_objects, 100)), times=50, before=3)
    yield Figure("100 random objects, all arrays", some, "ms", 10)
    yield from _others(path, ids, n_objects)


def _others(path: Path, ids, n_objects: int) -> Iterator[Figure]:
    """The same reads by others: two arrays at least, as ``get_lightcurve`` reads them."""
    flux = zarr.open_array(path / "by_object" / "flux", mode="r")
    yield Figure(
        "zarr-python alone: array[i], one array", median_ms(lambda: flux[next(ids)], times=200, before=5), "ms"
    )
    try:
        import dask  # noqa: F401
        import xarray
    except ImportError:
        return
    dataset = xarray.open_zarr(path, group="by_object", consolidated=False, chunks={})
    dataset = dataset.assign_coords(object=np.arange(n_objects))
    taken = median_ms(lambda: dataset.flux.sel(object=next(ids)).values, times=30, before=2)
    yield Figure("xarray + dask: flux.sel(object=i), one array", taken, "ms")


def measure_pending(folder: Path, n_objects: int) -> Iterator[Figure]:
    """What an epoch that is not folded adds to a read that nobody made before."""
    random = np.random.default_rng(SEED)
    path = folder / "pending"
    storage = LightcurveStorage.create(path, n_objects=n_objects, max_epochs=500, measurements=2)
    for index in range(33):
        storage.populate_epoch(index, make_epoch(random, n_objects, 2), sync=False)
        if index == 0:
            storage.relayout()
    taken = []
    for number in random.integers(0, n_objects, 15).tolist():
        fresh = LightcurveStorage.open(path)
        fresh.refresh()
        begun = time.perf_counter()
        fresh.get_lightcurve(number)
        taken.append(1000 * (time.perf_counter() - begun))
    yield Figure("each pending epoch, cold", float(np.median(taken)) / 32, "ms", 1, "32 pending, all arrays")


def measure_increments(folder: Path, n_objects: int) -> Iterator[Figure]:
    """Folding one more epoch after ever longer histories."""
    random = np.random.default_rng(SEED)
    options = CreateOptions(epoch_block=100)
    storage = LightcurveStorage.create(
        folder / "increments", n_objects=n_objects, max_epochs=1000, measurements=2, options=options
    )
    epoch = make_epoch(random, n_objects, 2)
    for history in HISTORIES:
        for index in range(storage.info().epochs, history):
            storage.populate_epoch(index, epoch, time=float(index), sync=False)
        storage.relayout()
        storage.populate_epoch(history, epoch, time=float(history), sync=False)
        report = storage.relayout()
        note = f"{report.shards} shards, {report.bytes_read / 2**20:.0f} MiB read"
        yield Figure(f"fold one more epoch after {history}", report.seconds, "s", None, note)


def measure_requests(n_objects: int) -> Iterator[Figure]:
    """Requests of an object store for one light curve."""
    random = np.random.default_rng(SEED)
    url = f"memory://{uuid.uuid4().hex}"
    storage = LightcurveStorage.create(url, n_objects=n_objects, max_epochs=100, measurements=2)
    for index in range(3):
        storage.populate_epoch(index, make_epoch(random, n_objects, 2))
    storage.relayout()
    counts = storage._view.keys.counts
    storage.get_lightcurve(0)
    for arrays, target in ((["flux"], 2), (["flux", "flux_err"], 3)):
        before = counts.snapshot()
        for number in range(1, 21):
            storage.get_lightcurve(number, arrays=arrays)
        made = counts.snapshot() - before
        requests = (made.gets + made.heads + made.lists) / 20
        yield Figure(f"object store: requests for {' and '.join(arrays)}", requests, "", target, "status included")
